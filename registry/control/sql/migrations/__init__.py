"""Alembic's scripts. A change of the schema is a new file in `versions/`; what is released never changes."""
