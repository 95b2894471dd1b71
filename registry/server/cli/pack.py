"""`artifact-store pack`: move blobs to packs now."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.server.cli.console import EXIT_OK, CommandError, add_quiet, counted, in_bytes, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count
from registry.server.settings import Settings

if TYPE_CHECKING:
    from registry.control import Store

HELP = """\
pack blobs that are due by policy, beside a running server

Blobs arrive as whole files. Packing cuts them to chunks where their content says, keeps each chunk once,
compresses what compresses, and deletes the files; a blob reads the same before, during and after. Which ones,
when and how is said by the settings of the group `pack` and by `pack_after` and the like in [[repository]];
of a blob in several repositories, the one decides that wants it whole for longer. A server does the same
once a day by itself, slowly; this command does it at full speed.
Exit code 0: done; 2: could not run.

examples:
  artifact-store pack --data ./data --dry-run              how many blobs are due, and their bytes
  artifact-store pack --data ./data
  artifact-store pack --data ./data --now                  however young, but what is never packed stays whole
"""

#: Seconds that a server's turn may go on before this one gives up.
_PATIENCE = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys"))
    parser.add_argument("--now", action="store_true", help="do not wait until blobs are old enough")
    parser.add_argument("--dry-run", action="store_true", help="say what is due, and change nothing")
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.server.offline import open_stored

    settings = existing(args)
    if settings.storage.url is not None:
        raise CommandError("content lives in a bucket (storage.url), where blobs stay whole: nothing to pack")
    async with open_stored(_ageless(settings) if args.now else settings) as opened:
        if args.dry_run:
            return await _plan(opened.store, args)
        return await _pack(opened.store, args)


def _ageless(settings: Settings) -> Settings:
    """The settings with every age at which blobs are packed put to nothing. Never stays never."""
    rules = tuple(
        rule if rule.pack.after is None else replace(rule, pack=replace(rule.pack, after=0.0))
        for rule in settings.repositories
    )
    pack = settings.pack if settings.pack.after is None else replace(settings.pack, after=0.0)
    return replace(settings, pack=pack, repositories=rules)


async def _plan(store: Store, args: argparse.Namespace) -> int:
    from registry.control.packing import plan

    due = await plan(store.core)
    if args.json:
        print_json({"dry_run": True, "blobs": due.blobs, "bytes": due.bytes})
    else:
        print(f"due: {counted(due.blobs, 'blob')}, {in_bytes(due.bytes)}")
    return EXIT_OK


async def _pack(store: Store, args: argparse.Namespace) -> int:
    from registry.control import packing
    from registry.control.work import hold

    show = show_count(quiet=args.quiet or args.json)

    def progress(done: packing.PackedUp) -> None:
        show(f"{counted(done.blobs, 'blob')} packed, {in_bytes(done.bytes)}, {in_bytes(done.saved)} saved")

    async with hold(store.core, packing.WORK, _PATIENCE) as work:
        done = await packing.pack(work, again=True, progress=progress)
    if args.json:
        print_json(
            {
                "dry_run": False,
                "blobs": done.blobs,
                "bytes": done.bytes,
                "stored_bytes": done.added,
                "saved_bytes": done.saved,
                "faults": done.faults,
            }
        )
    else:
        print(
            f"packed: {counted(done.blobs, 'blob')}, {in_bytes(done.bytes)} in {in_bytes(done.added)}"
            + (f"; {done.faults} corrupt and set aside" if done.faults else "")
        )
    return EXIT_OK
