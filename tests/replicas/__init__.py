"""Several replicas of the program behind a proxy, over one PostgreSQL database and one bucket."""
