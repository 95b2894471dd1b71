"""A PostgreSQL server asked about itself, for `doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, text

from registry.control.sql import migrate
from registry.control.sql.opening import open_offline

_STATE = text("""
SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS commit,
    current_setting('fsync') AS fsync, current_setting('max_connections')::int AS connections,
    pg_is_in_recovery() AS standby, extract(epoch FROM clock_timestamp()) AS time
""")
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ServerState:
    """How a server is set up. `ahead` is how many seconds its clock is before ours, `round_trip` the shortest
    of some, in seconds; `connections` are those it takes from everybody."""

    version: str
    durable: bool
    standby: bool
    connections: int
    ahead: float
    round_trip: float


async def is_good_for_us(url: str) -> bool:
    """Whether a schema newer than ours is one that this program works on (decision 71). Raises StoreError."""
    async with open_offline(url) as offline:
        oldest: str | None = await offline.run(migrate.oldest_of)
    return oldest is not None and oldest <= migrate.CURRENT


async def state_of(url: str) -> ServerState:
    """The server's own word. Raises StoreError."""
    async with open_offline(url) as offline:
        return await offline.run(_state)


def _state(connection: Connection) -> ServerState:
    round_trip, ahead = float("inf"), 0.0
    for _ in range(_ROUNDS):
        begun = time.time()
        row = connection.execute(_STATE).one()
        taken = time.time() - begun
        if taken < round_trip:
            round_trip, ahead = taken, float(row.time) - begun - taken / 2
    return ServerState(
        version=row.version.partition(" ")[0],
        # `local` waits for our disk and not for standbys; what is weaker loses what was acknowledged.
        durable=row.commit != "off" and row.fsync == "on",
        standby=row.standby,
        connections=row.connections,
        ahead=ahead,
        round_trip=round_trip,
    )
