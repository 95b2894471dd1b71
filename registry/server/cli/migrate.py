"""`artifact-store migrate`: bring the database to this program's schema."""

from __future__ import annotations

import argparse

from registry.server.cli.console import EXIT_OK, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing

HELP = """\
bring the database to this program's schema

An embedded store does this by itself when it starts. Where several servers share a PostgreSQL database, run
this once before the first of a new version starts.

examples:
  artifact-store migrate --database postgresql://registry@db/registry
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database"))


def run(args: argparse.Namespace) -> int:
    import asyncio

    from registry.control.sql.opening import migrate_database
    from registry.server.folder import database_of

    settings = existing(args)
    changed = asyncio.run(migrate_database(database_of(settings)))
    if args.json:
        print_json({"ok": True, "changed": changed})
    else:
        print("the database was migrated" if changed else "the database is up to date")
    return EXIT_OK
