"""`artifact-store fsck`: is everything there, and is it what its names say?"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
from registry.server.settings import Settings

if TYPE_CHECKING:
    from registry.contract.dataplane import DataPlane

HELP = """\
check every object of a store, also beside a running server

Reads the ledger, the views and every byte, and compares each content with all of its digests. Names each
fault, and changes nothing but a note of how far it is, for --resume. With --repair it sets corrupt content
aside so that a push heals it, recounts counters and completes what a crash left; that needs the store for
itself, so stop the server, or all replicas, first. With --from it takes missing content from a backup, or
from any other data folder that has it. A push of the same content heals what is missing; `rebuild` mends
views.
Exit code 0: no fault, or all mended; 1: faults; 2: the check could not run.

examples:
  artifact-store fsck --data ./data
  artifact-store fsck --data ./data --structure-only     quick: sizes and rows, without reading content
  artifact-store fsck --data ./data --subset 2/7         the second of seven parts, each night another
  artifact-store fsck --data ./data --subset 5%          a twentieth, by chance
  artifact-store fsck --data ./data --resume             go on where the last one was stopped
  artifact-store fsck --data ./data --repair --from /mnt/backup/artifacts
  artifact-store fsck --data ./data --json | jq .faults
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys"))
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--structure-only", action="store_true", help="do not read the content of objects")
    extent.add_argument("--subset", metavar="N/T|X%", help="read a part of the content, or a share by chance")
    extent.add_argument("--resume", action="store_true", help="go on with a check that was stopped")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended; no server may run")
    parser.add_argument(
        "--from",
        dest="sources",
        metavar="FOLDER",
        type=Path,
        action="append",
        default=[],
        help="with --repair: take missing content from this backup or data folder; may be repeated",
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.server.cli.alone import alone

    settings = existing(args)
    if args.sources and not args.repair:
        raise CommandError("--from says where missing content is to be had; it needs --repair")
    if not args.repair:
        return await _check(settings, args)
    async with alone(settings, "fsck --repair"):
        return await _check(settings, args)


@asynccontextmanager
async def _opened(settings: Settings, folders: Sequence[Path]) -> AsyncIterator[list[DataPlane]]:
    """The stores in these folders. Raises CommandError for a folder that holds none."""
    from registry.server.storage import open_copy

    for folder in folders:
        if not (folder / "FORMAT").is_file():
            raise CommandError(f"{folder} holds no store; name a backup or a data folder")
    async with AsyncExitStack() as stack:
        others = []
        for folder in folders:
            others.append(open_copy(settings, folder))
            stack.push_async_callback(others[-1].close)
        yield others


async def _check(settings: Settings, args: argparse.Namespace) -> int:
    import secrets

    from registry.contract.errors import ErrorKind, StoreError
    from registry.control.fsck import Checked, fsck
    from registry.control.fsck_repair import Step, repair
    from registry.control.fsck_subset import EVERYTHING, parse_subset
    from registry.server.offline import open_stored

    show = show_count(quiet=args.quiet or args.json)

    def progress(done: Checked) -> None:
        show(f"{counted(done.contents, 'object')} checked, {counted(len(done.faults), 'fault')}")

    steps: list[Step] = []
    try:
        subset = parse_subset(args.subset, secrets.randbelow(2**32) / 2**32) if args.subset else EVERYTHING
        async with open_stored(settings) as opened, _opened(settings, args.sources) as others:
            done = await fsck(
                opened.store.core,
                structure_only=args.structure_only,
                subset=subset,
                resume=args.resume,
                progress=progress,
            )
            if args.repair:
                steps = await repair(opened.store.core, done, others)
    except StoreError as error:
        if error.kind is not ErrorKind.BAD_REQUEST:
            raise
        raise CommandError(error.message) from None
    if args.json:
        print_json(
            {
                "ok": not done.faults,
                "contents": done.contents,
                "bytes": done.bytes,
                "unnamed": done.unnamed,
                "stages": done.stages,
                "erased": done.erased,
                "away": done.away,
                "faults": [{"kind": fault.kind, "message": fault.message} for fault in done.faults],
                "repairs": [{"message": step.message, "mended": step.mended} for step in steps],
            }
        )
    else:
        for fault in done.faults:
            print(f"{fault.kind}: {fault.message}")
        for step in steps:
            print(f"repair: {step.message}")
        read = "sizes alone" if args.structure_only else f"{in_bytes(done.bytes)} read"
        found = counted(len(done.faults), "fault") if done.faults else "no fault"
        print(
            f"{counted(done.contents, 'object')}, {read}: {found}; "
            f"{done.unnamed} not named yet, {counted(done.stages, 'upload')} in flight"
            + (f", {done.erased} erased" if done.erased else "")
            + (f", {done.away} away and not read" if done.away else "")
        )
    mended = bool(steps) and all(step.mended for step in steps)
    return EXIT_FAULT if done.faults and not mended else EXIT_OK
