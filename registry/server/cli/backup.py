"""`artifact-store backup`: a consistent copy, made beside a running server."""

from __future__ import annotations

import argparse
from pathlib import Path

from registry.server.cli.console import (
    EXIT_FAULT,
    EXIT_OK,
    CommandError,
    add_quiet,
    counted,
    in_bytes,
    print_json,
)
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count

HELP = """\
copy a store into a folder, also beside a running server

The copy is consistent and verified, and is a data folder itself: `serve --data FOLDER` opens it. A second
backup into the same folder copies only what is new; a folder that holds anything else is refused. The
settings file is not copied. What is sealed stays sealed, with data keys of its own that the same
keys.provider wraps: keep that key as long as the backup. A store whose database is a PostgreSQL server is
backed up with that server's tools and those of its bucket.
Exit code 0: complete; 1: some content could not be read; 2: could not run.

examples:
  artifact-store backup --data ./data /mnt/backup/artifacts
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys"))
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="where the copy goes; made when it is not there"
    )
    parser.add_argument(
        "--jurisdiction",
        metavar="NAME",
        help="whose law FOLDER stands under; needed where a domain names jurisdictions",
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.backup import BackedUp, backup
    from registry.dataplane.archives import folder_archive
    from registry.server.backup_target import TargetError, open_target
    from registry.server.folder import FolderBusyError, FolderUnusableError, database_in
    from registry.server.offline import open_stored
    from registry.server.placement import refusal_of

    settings = existing(args)
    if settings.database.url is not None:
        raise CommandError(
            "the ledger is in PostgreSQL (database.url): back that database up with its own tools, such as "
            "pg_dump, and after it the bucket or the data folder that has the content"
        )
    refusal = refusal_of(settings, str(args.folder), args.jurisdiction)
    if refusal is not None:
        raise CommandError(f"{refusal}: say with --jurisdiction where it is, or name another folder")
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: BackedUp) -> None:
        show(f"{done.contents} objects copied, {done.kept} were there")

    try:
        async with (
            open_stored(settings) as opened,
            open_target(args.folder, settings, opened.store) as target,
        ):
            database, archive = database_in(args.folder), folder_archive(args.folder)
            done = await backup(opened.store.core, target, database, progress, archive)
    except (TargetError, FolderBusyError, FolderUnusableError) as error:
        raise CommandError(str(error)) from None
    if args.json:
        print_json(
            {
                "ok": not done.faults,
                "contents": done.contents,
                "bytes": done.bytes,
                "kept": done.kept,
                "faults": done.faults,
                "away": done.away,
            }
        )
    else:
        print(
            f"{counted(done.contents, 'object')} copied, {in_bytes(done.bytes)}; {done.kept} there already"
            + (f"; {done.faults} could not be read: `artifact-store fsck` names them" if done.faults else "")
            + (f"; {done.away} away, and so in no backup but that of their location" if done.away else "")
        )
    return EXIT_FAULT if done.faults else EXIT_OK
