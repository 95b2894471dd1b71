"""Tables and queries: the only home of SQLAlchemy in the control plane."""
