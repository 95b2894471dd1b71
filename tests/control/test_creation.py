"""A database made at once is the one that the migrations make."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.control.sql import creation, migrate


def contents(path: Path) -> dict[str, object]:
    """Every object's definition and every row, without what layout the text has."""
    with closing(sqlite3.connect(path)) as connection:
        schema = connection.execute("SELECT name, sql FROM sqlite_schema").fetchall()
        tables = [name for name, sql in schema if (sql or "").startswith("CREATE TABLE")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    return {"schema": {name: re.sub(r"\s+", "", sql or "") for name, sql in schema}, "rows": rows}


def test_creation_equals_the_migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert migrate.migrate_sqlite(tmp_path / "created")
    with sqlite3.connect(tmp_path / "migrated") as connection:
        # A table of somebody's, so that the file is not empty and the migrations run.
        connection.execute("CREATE TABLE other (id INTEGER)")
    connection.close()
    monkeypatch.delattr(creation, "create")
    assert migrate.migrate_sqlite(tmp_path / "migrated")
    with closing(sqlite3.connect(tmp_path / "migrated")) as connection:
        connection.execute("DROP TABLE other")
    assert contents(tmp_path / "created") == contents(tmp_path / "migrated")
    assert migrate.is_current_sqlite(tmp_path / "created")
    assert not migrate.migrate_sqlite(tmp_path / "created")
