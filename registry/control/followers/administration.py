"""Looking after followers: how they fare, dead letters, and what an operator does about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import DeadLetter, FollowerStatus, Page
from registry.control.access import Action, Caller
from registry.control.core import SECOND, Core
from registry.control.followers.following import Follower
from registry.control.sql import Connection
from registry.control.sql import followers as rows
from registry.control.sql.followers import FollowerRow, Place
from registry.control.sql.transaction import Transaction

T = TypeVar("T")


class FollowerService:
    """Implements `registry.contract.store.Followers`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._core = caller.core

    async def list(self) -> tuple[FollowerStatus, ...]:
        self._caller.may(Action.ADMIN)
        return await statuses(self._core)

    async def get(self, name: str) -> FollowerStatus:
        self._caller.may(Action.ADMIN)
        found = next((status for status in await statuses(self._core) if status.name == name), None)
        if found is None:
            raise _unknown(name)
        return found

    async def dead_letters(self, name: str, *, after: int, limit: int) -> Page[DeadLetter]:
        self._caller.may(Action.ADMIN)
        await self.get(name)
        parameters = {"name": name, "after": after, "limit": limit + 1}
        found = [rows.read_letter(row) for row in await self._core.database.fetch(rows.LETTERS, parameters)]
        items = tuple(found[:limit])
        return Page(items, str(items[-1].seq) if len(found) > limit else None)

    async def redeliver(self, name: str, seqs: Sequence[int] | None) -> int:
        def change(tx: Transaction, _row: FollowerRow) -> int:
            if seqs is not None and (unknown := rows.missing(tx.connection, name, seqs)):
                raise StoreError(
                    ErrorKind.CONFLICT,
                    f"no dead letter of the follower {name}: " + ", ".join(map(str, unknown)),
                )
            return rows.queue(tx.connection, name, seqs)

        return await self._change(name, change)

    async def skip(self, name: str) -> int:
        def change(tx: Transaction, row: FollowerRow) -> int:
            place = row.place
            if place.failing is None:
                raise StoreError(
                    ErrorKind.CONFLICT,
                    f"the follower {name} does not stand before an event that is not taken",
                )
            rows.save(tx.connection, name, place.cursor, Place(place.failing), now=tx.now)
            reason = f"skipped: {place.reason}"
            rows.bury(tx.connection, name, place.failing, place.attempts, reason, tx.now)
            return place.failing

        return await self._change(name, change)

    async def seek(self, name: str, after: int) -> None:
        def change(tx: Transaction, row: FollowerRow) -> None:
            if after > row.head:
                raise StoreError(ErrorKind.CONFLICT, f"the ledger's last event is {row.head}")
            rows.save(tx.connection, name, row.place.cursor, Place(after), now=tx.now)

        await self._change(name, change)

    async def stop(self, name: str) -> None:
        await self._change(name, lambda tx, _row: rows.set_stopped(tx.connection, name, stopped=True))

    async def resume(self, name: str) -> None:
        def change(tx: Transaction, row: FollowerRow) -> None:
            place = row.place
            rows.set_stopped(tx.connection, name, stopped=False)
            now = Place(place.cursor, place.failing, place.failing_since, place.attempts, reason=place.reason)
            rows.save(tx.connection, name, place.cursor, now, now=tx.now)

        await self._change(name, change)

    async def forget(self, name: str) -> None:
        def change(tx: Transaction, _row: FollowerRow) -> None:
            if any(follower.name == name for follower in self._core.followers):
                raise StoreError(
                    ErrorKind.CONFLICT, f"the follower {name} is set: take it out of the settings first"
                )
            rows.forget(tx.connection, name)

        await self._change(name, change)

    async def _change(self, name: str, change: Callable[[Transaction, FollowerRow], T]) -> T:
        """Change the rows of a follower that has some."""
        self._caller.may(Action.ADMIN)

        def known(tx: Transaction) -> T:
            row = rows.row_of(tx.connection, name)
            if row is None:
                raise _unknown(name)
            return change(tx, row)

        return await self._core.database.write(self._caller.principal.id, known)


async def statuses(core: Core) -> tuple[FollowerStatus, ...]:
    """Every follower that is set or ever had a place, by name."""
    now = core.clock.now()
    configured = {follower.name: follower for follower in core.followers}

    def query(connection: Connection) -> tuple[FollowerStatus, ...]:
        return tuple(_status(row, configured.get(row.name), now) for row in rows.rows(connection))

    return await core.database.read(query)


def _status(row: FollowerRow, follower: Follower | None, now: int) -> FollowerStatus:
    place = row.place
    waiting = 0 if row.waiting_since is None else max(0, now - row.waiting_since)
    return FollowerStatus(
        name=row.name,
        target=follower.target if follower is not None else "",
        configured=follower is not None,
        state="stopped" if row.stopped else "retrying" if place.streak else "delivering",
        cursor=place.cursor,
        lag_events=max(0, row.head - place.cursor),
        lag_seconds=waiting / SECOND,
        delivered=row.delivered,
        delivered_at=row.delivered_at,
        failures=row.failures,
        failing=place.failing,
        failing_since=place.failing_since,
        attempts=place.attempts,
        next_attempt_at=place.next_attempt_at or None,
        reason=place.reason,
        dead_letters=row.dead,
        queued=row.queued,
    )


def _unknown(name: str) -> StoreError:
    return StoreError(ErrorKind.FOLLOWER_UNKNOWN, f"there is no follower called {name!r}")
