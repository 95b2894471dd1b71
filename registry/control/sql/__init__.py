"""Tables and queries: the only home of SQLAlchemy in the control plane."""

from sqlalchemy import Connection

__all__ = ["Connection"]
