"""`artifact-store rebuild`: drop every view and replay the ledger."""

from __future__ import annotations

import argparse

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, add_quiet, counted, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count

HELP = """\
drop the views of a store and replay its ledger

The ledger of events is the truth; every other table that matters is rebuilt from it, in one transaction:
what was there stays until the new views are whole. Needs the store for itself, so stop the server, or all
replicas, first.
Exit code 0: rebuilt; 1: rebuilt, but the bytes of a manifest or schema are not there; 2: could not run.
`fsck` looks at all other bytes.

examples:
  artifact-store rebuild --data ./data
  artifact-store rebuild --database postgresql://registry@db/registry --storage s3://artifacts/prod
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys"))
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.rebuild import Rebuilt, rebuild
    from registry.server.cli.alone import alone
    from registry.server.folder import database_of
    from registry.server.storage import open_dataplane

    settings = existing(args)
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: Rebuilt) -> None:
        show(f"{done.events} events replayed, {done.manifests} manifests read")

    async with alone(settings, "rebuild"):
        dataplane = await open_dataplane(settings)
        try:
            done = await rebuild(database_of(settings), dataplane, progress)
        finally:
            await dataplane.close()
    if args.json:
        print_json(
            {
                "ok": not done.faults,
                "events": done.events,
                "manifests": done.manifests,
                "differing": done.differing,
                "faults": done.faults,
            }
        )
    else:
        for fault in done.faults:
            print(fault)
        changed = (
            f"mended: {', '.join(done.differing)}" if done.differing else "every view was as it should be"
        )
        print(
            f"{counted(done.events, 'event')} replayed, {counted(done.manifests, 'manifest')} read; {changed}"
        )
    return EXIT_FAULT if done.faults else EXIT_OK
