"""A store that takes no writes: it is being filled from another, or has moved to another (decision 68).

The ledger's head row has the id 1 in a store that takes writes and 0 in one that is closed. Every writer of
every process locks the row with the id 1 first, so that who waited for it while the store was closed finds
nothing to lock, and no further look is needed. Why it is closed is the progress of the work `move`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Connection

from registry.contract.errors import ErrorKind, StoreError
from registry.control.sql import progress
from registry.control.sql.statements import first, run

_WORK = "move"
_CLOSED = "SELECT 1 FROM ledger_head WHERE id = 0"
_SET_ID = "UPDATE ledger_head SET id = :id"


class Part(StrEnum):
    """What a closed store is in a move."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Move:
    """Why a store is closed.

    `id` is a UUID that names the move, `other` the other store as people call it. Of a target: `run` is the
    one process that fills it, `began` the last event of which all content that it removed had never come
    here, `detailed` the id of the last manifest whose rows are complete.
    """

    part: Part
    id: str
    other: str
    run: str = ""
    began: int = 0
    detailed: int = 0


def refusal(connection: Connection) -> StoreError:
    """Why a store takes no writes whose head has not the id 1."""
    return refused(reason(connection))


def refused(move: Move | None) -> StoreError:
    """The sentence for who would use a closed store."""
    if move is None:
        return StoreError(ErrorKind.INTERNAL, "the ledger has no head: restore the database from a backup")
    if move.part is Part.SOURCE:
        message = f"this store has moved to {move.other}: start its servers there"
    else:
        message = (
            f"this store is being filled from {move.other} and is not complete: "
            "`artifact-store migrate-store FROM TO --switch` completes it"
        )
    return StoreError(ErrorKind.UNAVAILABLE, message, detail={"retry_after": 30})


def reason(connection: Connection) -> Move | None:
    """Why the store is closed; None where it is not."""
    if first(connection, _CLOSED) is None:
        return None
    state = progress.load(connection, _WORK)
    return Move(**{**state, "part": Part(state["part"])}) if state else None


def close(connection: Connection, move: Move) -> None:
    """From the commit on nothing is written, or for this reason instead of an earlier one."""
    run(connection, _SET_ID, id=0)
    progress.save(connection, _WORK, asdict(move))


def reopen(connection: Connection) -> None:
    """From the commit on the store is as every other."""
    run(connection, _SET_ID, id=1)
    progress.drop(connection, _WORK)
