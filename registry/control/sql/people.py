"""Principals' names, as rows."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from registry.control.sql.tables import principals


def id_of(connection: Connection, name: str) -> str | None:
    found: str | None = connection.scalar(select(principals.c.id).where(principals.c.name == name))
    return found


def add(connection: Connection, principal: str, name: str) -> None:
    connection.execute(insert(principals), {"id": principal, "name": name})
