"""`artifact-store tiers`: what belongs to another location, and moving it now."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from registry.contract.timestamps import rfc3339
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

if TYPE_CHECKING:
    from registry.control import Store

HELP = """\
see where content lies, and move it where the rules want it, beside a running server

Rules stand in the settings file as [[tier]], locations as [[location]]. A server moves by itself, slowly,
once a day; `run` does it now, at full speed. Content is copied, read back there, told in the ledger, and only
then deleted where it was. `plan` says what would move and what must stay; `status` what each location holds,
which restores are under way, and what has still to be deleted.
Exit code 0: done; 1: something could not move; 2: could not run.

examples:
  artifact-store tiers plan --data ./data
  artifact-store tiers run --data ./data
  artifact-store tiers status --data ./data --json
"""

#: Seconds that a server's turn may go on before this one gives up.
_PATIENCE = 60.0

_ACTIONS = {
    "plan": "say what would move, and change nothing",
    "run": "move it now",
    "status": "say what each location holds, and what is on its way",
}


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys", "tiers"))
    parser.add_argument(
        "action",
        choices=tuple(_ACTIONS),
        help="; ".join(f"{name}: {text}" for name, text in _ACTIONS.items()),
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.server.offline import open_stored

    work = {"plan": _plan, "run": _move, "status": _status}[args.action]
    async with open_stored(existing(args)) as opened:
        if args.action != "status" and not opened.store.core.tiers.rules:
            raise CommandError("the settings have no [[tier]]: nothing belongs anywhere else")
        return await work(opened.store, args)


async def _plan(store: Store, args: argparse.Namespace) -> int:
    from registry.control.tiers import moving

    found = await moving.plan(store.core)
    if args.json:
        print_json(
            {
                "moves": [
                    {"from": one.source, "to": one.to, "contents": one.contents, "bytes": one.bytes}
                    for one in found.steps
                ],
                "refused": [{"reason": reason, "contents": count} for reason, count in found.refusals],
            }
        )
        return EXIT_OK
    for one in found.steps:
        print(f"{one.source} to {one.to}: {counted(one.contents, 'content')}, {in_bytes(one.bytes)}")
    for reason, count in found.refusals:
        print(f"{counted(count, 'content')} must stay: {reason}")
    if not found.steps:
        print("nothing is to move")
    return EXIT_OK


async def _move(store: Store, args: argparse.Namespace) -> int:
    from registry.control.tiers import moving
    from registry.control.work import hold

    show = show_count(quiet=args.quiet or args.json)

    def progress(done: moving.Moved) -> None:
        show(f"{counted(done.contents, 'content')} moved, {in_bytes(done.bytes)}")

    async with hold(store.core, moving.WORK, _PATIENCE) as work:
        done = await moving.move(work, again=True, progress=progress)
    released = await moving.release(store.core, wait=True)
    if args.json:
        print_json(
            {
                "contents": done.contents,
                "bytes": done.bytes,
                "away": done.away,
                "kept": done.kept,
                "outside": done.outside,
                "faults": done.faults,
                "closed": done.closed,
                "released": {"contents": released.contents, "bytes": released.bytes, "kept": released.kept},
            }
        )
    else:
        for line in _told(done, released):
            print(line)
    return EXIT_FAULT if done.closed or done.faults or released.kept else EXIT_OK


def _told(done: Any, released: Any) -> list[str]:
    lines = [
        f"moved: {counted(done.contents, 'content')}, {in_bytes(done.bytes)}; "
        f"{in_bytes(released.bytes)} deleted where they were"
    ]
    for count, why in (
        (done.kept, "needed by somebody, and stayed"),
        (done.away, "would have to be restored first"),
        (done.outside, "may not lie where the rules want them; `tiers plan` says why"),
        (done.faults, "could not be read as they should; `fsck` says more"),
        (released.kept, "could not be deleted where they were, and are tried again"),
    ):
        if count:
            lines.append(f"{counted(count, 'content')} {why}")
    return lines + [f"nothing more could go to {place}: {why}" for place, why in done.closed.items()]


async def _status(store: Store, args: argparse.Namespace) -> int:
    found, places = await store.tiers(), store.core.places
    names = [*places.names, *sorted(set(found.held) - set(places.names))]
    if args.json:
        print_json(
            {
                "locations": [_location(store, name, found) for name in names],
                "waiting": {"contents": found.waiting.objects, "bytes": found.waiting.bytes},
                "moved": {"contents": found.moved.objects, "bytes": found.moved.bytes},
                "passing": bool(found.reached),
                "finished_at": rfc3339(found.finished_at) if found.finished_at else None,
            }
        )
        return EXIT_OK
    for name in names:
        one = _location(store, name, found)
        restores = ", ".join(f"{count} {status}" for status, count in one["restores"].items())
        print(
            f"{name}  {one['tier'] or 'not set any more'}"
            + (f", under {one['jurisdiction']}" if one["jurisdiction"] else "")
            + f": {counted(one['contents'], 'content')}, {in_bytes(one['bytes'])}"
            + (f"; restores: {restores}" if restores else "")
        )
    if found.waiting.objects:
        print(f"to be deleted where they were: {in_bytes(found.waiting.bytes)}")
    print(
        f"moved since the beginning: {counted(found.moved.objects, 'content')}, {in_bytes(found.moved.bytes)}"
    )
    return EXIT_OK


def _location(store: Store, name: str, found: Any) -> dict[str, Any]:
    place, held = store.core.places.find(name), found.held.get(name)
    return {
        "name": name,
        "tier": place.tier.value if place else None,
        "jurisdiction": place.jurisdiction if place else None,
        "contents": held.objects if held else 0,
        "bytes": held.bytes if held else 0,
        "restores": {status: count for location, status, count in found.restores if location == name},
    }
