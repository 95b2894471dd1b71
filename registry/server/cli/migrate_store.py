"""`artifact-store migrate-store`: a store moves to another database and another place for its bytes."""

from __future__ import annotations

import argparse
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
from registry.server.cli.stored import show_count

if TYPE_CHECKING:
    from registry.control.moving import Moved
    from registry.server.moving import End

HELP = """\
move a store to another database and storage, while it is being served

FROM and TO are each a data folder, with the settings file in it if there is one, or a settings file
(*.toml): the one with which the servers are or will be started. Any form moves to any other: SQLite or
PostgreSQL, files or a bucket. TO must be empty. No client pushes anything again: event ids, cursors, digests
and ETags stay.

Without --switch content and ledger are copied until little is left, all rows are compared, and FROM goes on;
do so days before, and again as often as you like. With --switch the writers of FROM wait for the moment in
which the rest is copied and compared; then FROM takes no writes any more and names TO to who opens it, and TO
can be served. Servers of FROM answer reads until you stop them. A run that was cut off is begun again.
Open upload sessions stay behind: their clients begin again. Content that FROM cannot read is told, put down
as missing there, and does not stop the rest.

Of the environment only variables that begin with ARTIFACT_STORE_FROM_ and ARTIFACT_STORE_TO_ count here, as
ARTIFACT_STORE_TO_STORAGE_SECRET_KEY.
Exit code 0: done; 1: done, but some content could not be read, or nothing was switched because the two differ
or the writers were faster; 2: could not run.

examples:
  artifact-store migrate-store ./data cluster.toml            copy beside the running server, and compare
  artifact-store migrate-store ./data cluster.toml --switch   and from now on the store is there
  artifact-store migrate-store ./data cluster.toml --undo     take that back, if nothing was written there
  artifact-store migrate-store cluster.toml /srv/one --switch back into a folder
  artifact-store migrate-store ./data cluster.toml --rate 50MiB --parallel 4
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM", help="the data folder or settings file of the store")
    parser.add_argument("target", metavar="TO", help="the data folder or settings file of where it goes")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--switch", action="store_true", help="let TO be the store in the end")
    what.add_argument("--undo", action="store_true", help="let FROM be the store again")
    parser.add_argument("--rate", metavar="SIZE", help="bytes of content a second at most, as 50MiB")
    parser.add_argument(
        "--parallel", metavar="COUNT", type=int, default=16, help="contents copied at a time; default 16"
    )
    parser.add_argument(
        "--patience",
        metavar="DURATION",
        default="5m",
        help="how long a database or a storage service may be away; default 5m",
    )
    parser.add_argument(
        "--wait",
        metavar="DURATION",
        default="10s",
        help="how long writers of FROM may wait when it is switched, as far as that can be told; default 10s",
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.moving import reason_of
    from registry.control.sql.closing import Part, refused
    from registry.server.folder import FolderBusyError, FolderUnusableError
    from registry.server.moving import (
        MoveError,
        check_apart,
        check_sealed,
        locked,
        prepare_database,
        read_end,
    )
    from registry.server.settings import PREFIX, environment
    from registry.server.settings_parsing import SettingsError

    try:
        source = read_end(args.source, f"{PREFIX}FROM_", environment())
        target = read_end(args.target, f"{PREFIX}TO_", environment())
        check_apart(source, target)
        if not isinstance(source.database, str) and not source.database.exists():
            raise CommandError(f"{source.name} holds no store: name the one that is to move")
        check_sealed(source, target)
        with locked(source, target):
            await prepare_database(target)
            moved = await reason_of(source)
            if args.undo:
                return await _undo(args, source, target)
            if moved is not None and moved.part is Part.SOURCE and args.switch:
                return await _complete(args, source, target)
            if moved is not None:
                raise CommandError(refused(moved).message)
            return await _move(args, source, target)
    except (MoveError, SettingsError, FolderBusyError, FolderUnusableError, ValueError) as error:
        raise CommandError(str(error)) from None


async def _move(args: argparse.Namespace, source: End, target: End) -> int:
    from functools import partial

    from registry.control.moving import Care, Side, begin
    from registry.server.moving import destroy, destroy_erased, open_bytes
    from registry.server.offline import open_stored
    from registry.server.values import DURATION, SIZE

    care = Care(
        max(args.parallel, 1),
        SIZE.parse(args.rate) if args.rate else None,
        DURATION.parse(args.patience),
        DURATION.parse(args.wait),
    )
    show = show_count(quiet=args.quiet or args.json)

    def progress(done: Moved) -> None:
        show(f"{done.contents} objects, {in_bytes(done.bytes)}, {done.head} events there")

    async with open_stored(source.settings) as opened, open_bytes(target) as bytes_there:
        mover = await begin(
            opened.store.core,
            Side(source.database, opened.dataplane, source.name),
            Side(target.database, bytes_there, target.name),
            care=care,
            destroy=partial(destroy, target),
            progress=progress,
        )
        destroy_erased(source, target)
        near = await mover.fill()
        alike = near and await mover.compare()
        if alike and args.switch:
            await mover.switch()
    return _tell(args, mover.done, source.name, target.name, near=near)


async def _complete(args: argparse.Namespace, source: End, target: End) -> int:
    from registry.control.moving import complete

    await complete(source, target)
    return _told(args, {"ok": True, "switched": True}, f"the store is {target.name} now")


async def _undo(args: argparse.Namespace, source: End, target: End) -> int:
    from registry.control.moving import take_back

    await take_back(source, target)
    return _told(args, {"ok": True, "switched": False}, f"the store is {source.name} again")


def _tell(args: argparse.Namespace, done: Moved, source: str, target: str, *, near: bool) -> int:
    ok = near and not done.faulty and not done.differing
    if args.json:
        print_json(
            {
                "ok": ok,
                "switched": done.switched,
                "contents": done.contents,
                "bytes": done.bytes,
                "kept": done.kept,
                "events": done.events,
                "head": done.head,
                "faulty": done.faulty,
                "faults": done.faults,
                "differing": done.differing,
                "uploads": done.uploads,
                "waited": round(done.waited, 3),
            }
        )
        return EXIT_OK if ok else EXIT_FAULT
    for fault in done.faults:
        print(fault)
    copied = f"{counted(done.contents, 'object')} copied, {in_bytes(done.bytes)}; {done.kept} there already"
    print(f"{copied}; {target} has the events up to {done.head}")
    if done.faulty:
        print(f"{counted(done.faulty, 'object')} could not be had from {source}: push them again, or restore")
    if done.differing:
        print(f"not alike: {', '.join(done.differing)}; `artifact-store rebuild` mends the views of a store")
    if not near:
        print(f"{source} takes more than is copied meanwhile: quieten its writers, or let them --wait longer")
    if done.switched:
        print(f"the store is {target} now; writers waited for {done.waited:.1f} s")
        if done.uploads:
            print(f"{counted(done.uploads, 'open upload session')} stayed behind; clients begin such again")
    elif ok:
        print(f"{source} is the store still; --switch ends that")
    return EXIT_OK if ok else EXIT_FAULT


def _told(args: argparse.Namespace, found: dict[str, bool], sentence: str) -> int:
    if args.json:
        print_json(found)
    else:
        print(sentence)
    return EXIT_OK
