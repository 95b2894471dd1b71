"""The target of a move is closed to everybody but the process that fills it, when it holds nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from registry.contract.dataplane import DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.control.core import Core
from registry.control.moving.contents import Care, Moved
from registry.control.moving.mover import Mover, Side
from registry.control.sql import adopting, closing, replay
from registry.control.sql.closing import Move, Part
from registry.control.sql.opening import open_offline
from registry.control.sql.standstill import standstill
from registry.control.tiers.places import PRIMARY


async def begin(
    core: Core,
    source: Side,
    target: Side,
    *,
    care: Care,
    destroy: Callable[[DomainId], None] = lambda _: None,
    progress: Callable[[Moved], None] = lambda _: None,
) -> Mover:
    """Begin to move the store `source`, whose `core` this is, or go on where a process before has ended.

    The schema of the target is there. From now on this process alone fills it. Raises CONFLICT where it holds
    anything that is not this store's, STORAGE_FULL where it surely has not the room.
    """
    await _check_locations(core, source)
    began, run = await core.database.head(), core.identifiers.new()
    async with standstill(target.database) as there:
        head, _ = await there.run(adopting.head)
        found = await there.run(closing.reason)
        await _check_history(core, source, target, head, await there.run(adopting.last), found)
        if found is not None and found.part is Part.TARGET:
            move = replace(found, run=run, other=source.name)
        else:
            move = Move(Part.TARGET, str(uuid.uuid4()), source.name, run, head or began, detailed=head)
        await there.run(closing.close, move)
    await target.dataplane.admit(run)
    await _check_room(core, target)
    return Mover(core, source, target, move, head, care=care, destroy=destroy, progress=progress)


async def _check_history(
    core: Core, source: Side, target: Side, head: int, last: bytes | None, found: Move | None
) -> None:
    """The target is empty, or was filled from this store and has nothing else since."""
    if found is None and head:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"{target.name} holds a store of its own, with {head} events: name an empty one",
        )
    if found is None:
        async for domain, address, _ in target.dataplane.contents():
            raise StoreError(
                ErrorKind.CONFLICT,
                f"{target.name} holds content that its database does not know, such as {address} in the "
                f"domain {domain}: it may be another store's; name an empty place",
            )
    if head and await core.database.read(partial(replay.envelopes, after=head - 1, limit=1)) != [last]:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"{target.name} was filled from another store than {source.name}, or one of them has been "
            "written to since: name an empty place",
        )


async def _check_locations(core: Core, source: Side) -> None:
    """What lies in further locations would have to come from there, and go to such again."""
    names = set(await core.database.read(adopting.locations)) - {PRIMARY}
    if names:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"content of {source.name} lies in the locations {', '.join(sorted(names))}, which do not move: "
            "bring it back to where content arrives first",
        )


async def _check_room(core: Core, target: Side) -> None:
    """Where the medium tells: it has room for what is not there yet."""
    free = (await target.dataplane.use()).free
    async with open_offline(target.database) as there:
        held = await there.run(adopting.physical)
    needed = await core.database.read(adopting.physical) - held
    if free is not None and free < needed:
        raise StoreError(
            ErrorKind.STORAGE_FULL,
            f"{target.name} has {free} bytes free, and {needed} are still to come: make room first",
        )
