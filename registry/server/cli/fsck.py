"""`artifact-store fsck`: is everything there, and is it what its names say?"""

from __future__ import annotations

import argparse

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count

HELP = """\
check every object of a store, also beside a running server

Reads the ledger, the views and every byte, and compares each content with all of its digests. Names each
fault, and changes nothing. A push of the same content heals what is missing; `rebuild` mends views.
Exit code 0: no fault; 1: faults; 2: the check could not run.

examples:
  artifact-store fsck --data ./data
  artifact-store fsck --data ./data --structure-only     quick: sizes and rows, without reading content
  artifact-store fsck --data ./data --json | jq .faults
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database"))
    parser.add_argument("--structure-only", action="store_true", help="do not read the content of objects")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.fsck import Checked, fsck
    from registry.server.offline import open_stored

    settings = existing(args)
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: Checked) -> None:
        show(f"{done.contents} objects checked, {len(done.faults)} faults")

    async with open_stored(settings) as opened:
        done = await fsck(opened.store.core, structure_only=args.structure_only, progress=progress)
    if args.json:
        print_json(
            {
                "ok": not done.faults,
                "contents": done.contents,
                "bytes": done.bytes,
                "unnamed": done.unnamed,
                "stages": done.stages,
                "faults": [{"kind": fault.kind, "message": fault.message} for fault in done.faults],
            }
        )
    else:
        for fault in done.faults:
            print(f"{fault.kind}: {fault.message}")
        read = "sizes alone" if args.structure_only else f"{done.bytes} bytes read"
        print(
            f"{done.contents} objects, {read}: {len(done.faults) or 'no'} fault(s); "
            f"{done.unnamed} objects unnamed, {done.stages} uploads in flight"
        )
    return EXIT_FAULT if done.faults else EXIT_OK
