"""What `doctor` looks at where the database is a server: its schema, its settings, and its clock."""

from __future__ import annotations

import asyncio

from registry.server.findings import NoticeError, TroubleError
from registry.server.folder import database_of
from registry.server.settings import Settings

#: Seconds. A mutation takes several round trips, all while it holds the ledger's head.
_SLOW_ROUND_TRIP = 0.005

#: Seconds. Locks of background work end by clocks, after five minutes; long before that somebody should know.
_CLOCK_APART = 2.0


def schema(settings: Settings) -> str:
    """Whether the schema is the one this program needs."""
    from registry.control.sql.inspection import schema_of

    found, needed = asyncio.run(schema_of(database_of(settings)))
    if found is None:
        return f"schema {needed} will be made with the first start"
    if found > needed:
        url = settings.database.url
        if url is not None and _is_good_for_us(url):
            raise NoticeError(
                f"schema {found} is newer than this program's {needed}, which works on it: an upgrade is "
                "under way"
            )
        raise TroubleError(
            f"schema {found} is newer than this program's {needed}: run a newer artifact-store"
        )
    if found < needed:
        if settings.database.url is not None:
            raise TroubleError(
                f"schema {found} is older than this program's {needed}: run `artifact-store migrate` once"
            )
        raise NoticeError(f"schema {found} will be migrated to {needed} with the next start; back up first")
    return f"answers, schema {found}"


def _is_good_for_us(url: str) -> bool:
    from registry.control.sql.server_state import is_good_for_us  # late: an embedded store does without it

    return asyncio.run(is_good_for_us(url))


def server(settings: Settings) -> str:
    """Whether the server keeps what it acknowledges, and how far away it is."""
    url = database_of(settings)
    if not isinstance(url, str):
        return "none: SQLite in the data folder"
    from registry.control.sql.server_state import state_of  # late: an embedded store does without it

    state = asyncio.run(state_of(url))
    if state.standby:
        raise TroubleError("the database server is a standby, which takes no writes: name the primary")
    if not state.durable:
        raise TroubleError(
            "synchronous_commit or fsync is off at the database server: a crash there would lose pushes that "
            "were acknowledged; set both to on"
        )
    ours = settings.database.connections * settings.server.workers
    text = (
        f"PostgreSQL {state.version}, a round trip takes {state.round_trip * 1000:.2f} ms; of its "
        f"{state.connections} connections this server uses up to {ours}"
    )
    if 2 * ours > state.connections:
        raise NoticeError(
            f"{text}, and two like it are too many: raise max_connections there or lower database.connections"
        )
    if abs(state.ahead) > _CLOCK_APART:
        where = "ahead of" if state.ahead > 0 else "behind"
        raise NoticeError(
            f"{text}; its clock is {abs(state.ahead):.1f} s {where} this machine's: all replicas and the "
            "database need clocks that agree (NTP), since locks end by them"
        )
    if state.round_trip > _SLOW_ROUND_TRIP:
        raise NoticeError(f"{text}: every push waits for several; keep replicas near their database")
    return text
