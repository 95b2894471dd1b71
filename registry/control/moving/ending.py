"""What is done about stores of which one has moved to the other: completed after a crash, or taken back."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql import adopting, closing
from registry.control.sql.closing import Move, Part
from registry.control.sql.opening import open_offline
from registry.control.sql.standstill import standstill


class Named(Protocol):
    """A store by its database, and what people know it by."""

    @property
    def database(self) -> str | Path: ...

    @property
    def name(self) -> str: ...


async def reason_of(place: Named) -> Move | None:
    """Why nobody may write to a store; None where everybody may. Its schema must be there."""
    async with open_offline(place.database) as offline:
        return await offline.run(closing.reason)


async def complete(source: Named, target: Named) -> None:
    """Open the target of a move whose source is closed: the process that moved it ended just before.

    Idempotent. Raises CONFLICT when they are not the two stores of one move.
    """
    left = await _left(source)
    async with standstill(target.database) as there:
        found = await there.run(closing.reason)
        _check_ends(await _head(source), (await there.run(adopting.head))[0], source, target, found is None)
        if found is None:
            return
        if found.id != left.id or found.part is not Part.TARGET:
            raise _strangers(source, target)
        await there.run(closing.reopen)


async def take_back(source: Named, target: Named) -> None:
    """Let the source be the store again, and close the target to be filled further.

    Raises CONFLICT when the target has events that the source has not: those would be lost.
    """
    left = await _left(source)
    async with standstill(target.database) as there:
        head = (await there.run(adopting.head))[0]
        found = await there.run(closing.reason)
        if found is None:
            _check_ends(await _head(source), head, source, target, True)
            found = Move(Part.TARGET, left.id, source.name, began=head, detailed=head)
        elif found.id != left.id or found.part is not Part.TARGET:
            raise _strangers(source, target)
        await there.run(closing.close, replace(found, run=str(uuid.uuid4())))
    async with standstill(source.database) as here:
        await here.run(closing.reopen)


async def _left(source: Named) -> Move:
    """The move by which the source was left."""
    found = await reason_of(source)
    if found is None or found.part is not Part.SOURCE:
        raise StoreError(ErrorKind.CONFLICT, f"{source.name} has not moved anywhere: nothing is to be undone")
    return found


async def _head(place: Named) -> int:
    async with open_offline(place.database) as offline:
        return (await offline.run(adopting.head))[0]


def _check_ends(here: int, there: int, source: Named, target: Named, written: bool) -> None:
    if there > here:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"{target.name} has {there - here} events since {source.name} moved there, which would be lost: "
            "to have the store back, move it back with FROM and TO exchanged",
        )
    if there < here:
        raise _strangers(source, target)


def _strangers(source: Named, target: Named) -> StoreError:
    return StoreError(ErrorKind.CONFLICT, f"{source.name} has not moved to {target.name} but elsewhere")
