"""The OCI distribution API (`/v2/`): the server's face, and a client of it."""
