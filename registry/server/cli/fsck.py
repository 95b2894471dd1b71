"""`artifact-store fsck`: is everything there, and is it what its names say?"""

from __future__ import annotations

import argparse

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, add_quiet, counted, in_bytes, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count

HELP = """\
check every object of a store, also beside a running server

Reads the ledger, the views and every byte, and compares each content with all of its digests. Names each
fault, and changes nothing. A push of the same content heals what is missing, and what is corrupt once its
file, content/DOMAIN/XX/BLAKE3 in the data folder, is moved away; `rebuild` mends views.
Exit code 0: no fault; 1: faults; 2: the check could not run.

examples:
  artifact-store fsck --data ./data
  artifact-store fsck --data ./data --structure-only     quick: sizes and rows, without reading content
  artifact-store fsck --data ./data --json | jq .faults
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database"))
    parser.add_argument("--structure-only", action="store_true", help="do not read the content of objects")
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.fsck import Checked, fsck
    from registry.server.offline import open_stored

    settings = existing(args)
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: Checked) -> None:
        show(f"{counted(done.contents, 'object')} checked, {counted(len(done.faults), 'fault')}")

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
            print(f"fault: {fault.message}")
        read = "sizes alone" if args.structure_only else f"{in_bytes(done.bytes)} read"
        found = counted(len(done.faults), "fault") if done.faults else "no fault"
        print(
            f"{counted(done.contents, 'object')}, {read}: {found}; "
            f"{done.unnamed} not named yet, {counted(done.stages, 'upload')} in flight"
        )
    return EXIT_FAULT if done.faults else EXIT_OK
