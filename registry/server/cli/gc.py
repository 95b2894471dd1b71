"""`artifact-store gc`: free what nothing holds any more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, CommandError, counted, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing, show_count

if TYPE_CHECKING:
    from registry.control import Store

HELP = """\
delete content that no manifest, tag, draft or lease holds, beside a running server

Blobs that no manifest of their repository names leave it when their lease is over (24 hours after they were
pushed or asked for last), and content that no repository has goes with its bytes. Manifests stay until they
are deleted, tagged or not, unless `untagged_after` is set for the repository. What is freed inside packs is
dead there until a pack has a quarter of it (pack.dead) and nothing in it died within the hour (pack.grace);
then the rest is copied and the pack goes. A server does all this every hour by itself; this command shares
the work with it and never stops it.
Exit code 0: done; 1: --explain found no such content; 2: could not run.

examples:
  artifact-store gc --data ./data --dry-run                  what would go, and how many bytes
  artifact-store gc --data ./data
  artifact-store gc --data ./data --explain sha256:0123...   why is this still here?
"""

#: Seconds that another collection may go on before this one gives up.
_PATIENCE = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(
        parser,
        ("data", "database", "storage", "care.lease", "care.delay", "pack.dead", "pack.grace", "keys"),
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--dry-run", action="store_true", help="say what would go, and change nothing")
    what.add_argument("--explain", metavar="DIGEST", help="say what holds this digest, or when it will go")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.server.offline import open_stored

    async with open_stored(existing(args)) as opened:
        if args.explain:
            return await _explain(opened.store, args)
        return await _collect(opened.store, args)


async def _explain(store: Store, args: argparse.Namespace) -> int:
    from registry.contract.digest import Digest
    from registry.contract.errors import StoreError
    from registry.control.explaining import explain

    try:
        digest = Digest.parse(args.explain)
    except StoreError as error:
        raise CommandError(error.message) from None
    found = await explain(store.core, digest)
    if args.json:
        print_json({"digest": str(digest), "held": found.held, "lines": list(found.lines)})
    else:
        print("\n".join(found.lines))
    return EXIT_FAULT if found.held is None else EXIT_OK


async def _collect(store: Store, args: argparse.Namespace) -> int:
    from registry.control import collection
    from registry.control.collection_plan import plan
    from registry.control.work import hold

    before = await plan(store.core)
    dead = await store.core.dataplane.dead(0)
    worth = await store.core.dataplane.dead()
    if not args.json:
        objects = counted(before.removed + before.waiting, "object")
        print(f"reclaimable: {before.reclaimable_bytes} bytes in {objects}", flush=True)
        _tell(
            (before.unlinked, f"{counted(before.unlinked, 'blob')} would leave their repositories"),
            (
                before.manifests,
                f"{counted(before.manifests, 'untagged manifest')} would be deleted by policy",
            ),
            (dead, f"{dead} bytes in packs are dead, {worth} of them in packs worth rewriting"),
            (
                not before.reclaimable_bytes,
                "content stays for `care.lease` after it came or was asked for; --explain DIGEST says more",
            ),
        )
    planned = {
        "reclaimable_bytes": before.reclaimable_bytes,
        "objects": before.removed + before.waiting,
        "unlinked": before.unlinked,
        "manifests": before.manifests,
        "dead_bytes": dead,
        "rewritable_bytes": worth,
    }
    if args.dry_run:
        if args.json:
            print_json({"dry_run": True, "before": planned})
        return EXIT_OK
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: collection.Collected) -> None:
        show(f"{done.removed} objects removed, {done.freed_bytes} bytes freed")

    async with hold(store.core, collection.WORK, _PATIENCE) as work:
        done = await collection.collect(work, wait=True, progress=progress)
    if args.json:
        after = {
            "manifests": done.manifests,
            "unlinked": done.unlinked,
            "removed": done.removed,
            "removed_bytes": done.removed_bytes,
            "orphans": done.orphans,
            "freed": done.freed,
            "freed_bytes": done.freed_bytes,
            "waiting": done.waiting,
            "waiting_bytes": done.waiting_bytes,
            "rewritten_bytes": done.rewritten_bytes,
            "dead_bytes": await store.core.dataplane.dead(0),
        }
        print_json({"dry_run": False, "before": planned, "done": after})
    else:
        print(f"freed: {done.freed_bytes} bytes of {counted(done.freed, 'object')}")
        waiting = f"{counted(done.waiting, 'object')} with {done.waiting_bytes} bytes"
        _tell(
            (done.rewritten_bytes, f"{done.rewritten_bytes} bytes fewer in packs, by rewriting them"),
            (done.unlinked, f"{counted(done.unlinked, 'blob')} left their repositories"),
            (done.manifests, f"{counted(done.manifests, 'untagged manifest')} deleted by policy"),
            (
                done.orphans,
                f"{counted(done.orphans, 'object')} found that no row names, as crashes leave them",
            ),
            (done.waiting, f"{waiting} are marked, and deleted by a later run"),
        )
    return EXIT_OK


def _tell(*facts: tuple[object, str]) -> None:
    """A line for each that there is something to say of."""
    for there, line in facts:
        if there:
            print(f"  {line}", flush=True)
