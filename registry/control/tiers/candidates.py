"""What the rules would move: a look over all content in the order it arrived, by pages.

What views are made from stays: manifests, the canonical ones of packages, schemas. They are small, and every
look-up, copy and rebuild needs them. So does what nobody has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from registry.control.core import Core
from registry.control.sql import Connection, content_reads, movable, packable
from registry.control.sql.movable import Holding
from registry.control.sql.packable import Had
from registry.control.tiers import reads
from registry.control.tiers.policy import Facts, most_reluctant

#: Rows looked at between two turns of the loop: some 3 ms of it.
_PAGE = 400
_LAST = 2**62


@dataclass(frozen=True, slots=True)
class Candidate:
    """Content, where it is and where it is to be. `refusal` says why it may not go there, a sentence."""

    had: Had
    held: tuple[Holding, ...]
    to: str
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Retiered:
    """Content at a location that the settings have given another tier since."""

    had: Had
    location: str


@dataclass(slots=True)
class Page:
    """What one page brought; all content up to the id `reached` has been looked at."""

    candidates: list[Candidate]
    retiered: list[Retiered]
    reached: int


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the repositories seen so far want of one content."""

    had: Had
    facts: Facts
    to: str | None


async def look(core: Core, reached: int) -> AsyncIterator[Page]:
    """Pages of what is to move, behind the content with the id `reached`."""
    if not core.tiers.rules:
        return
    youngest = core.clock.now() - core.tiers.youngest
    since = await reads.counting_since(core)
    position = (reached, _LAST)
    current: _Wish | None = None
    while True:
        found = await core.database.read(partial(_read, position=position))
        page, held, read_at, viewed = found
        settled: list[_Wish] = []
        for had in page:
            if current is not None and current.had.blob_id == had.blob_id:
                current = _also(core, current, had)
                continue
            if current is not None:
                settled.append(current)
            current = _first(core, had, since, read_at.get(had.blob_id, 0))
        ends = not page or page[-1].created_at > youngest  # all that follows is as young
        if ends and current is not None:
            settled.append(current)
        if page:
            position = (page[-1].blob_id, page[-1].repository_id)
        yield Page(
            [one for one in _candidates(core, settled, held) if one.had.blob_id not in viewed],
            list(_retiered(core, settled, held)),
            position[0] if ends else position[0] - 1,
        )
        if ends:
            return


def _read(
    connection: Connection, *, position: tuple[int, int]
) -> tuple[list[Had], dict[int, tuple[Holding, ...]], dict[int, int], set[int]]:
    page = packable.following(connection, after=position, limit=_PAGE)
    low, high = position[0], page[-1].blob_id if page else position[0]
    held = movable.places(connection, low, high)
    return page, held, content_reads.between(connection, low, high), movable.viewed(connection, low, high)


def _first(core: Core, had: Had, since: int, read_at: int) -> _Wish:
    """`since` reads are counted, and `read_at` is the last one; microseconds."""
    now, needed_at = core.clock.now(), max(had.created_at, read_at)
    facts = Facts(had.size, now - had.created_at, now - max(needed_at, since), now - needed_at)
    return _Wish(had, facts, core.tiers.place_for(had.repository, facts))


def _also(core: Core, wish: _Wish, had: Had) -> _Wish:
    """One more repository has it."""
    to = wish.to
    if to is not None:
        to = most_reluctant((to, core.tiers.place_for(had.repository, wish.facts)), core.places.rank)
    return replace(wish, to=to)


def _candidates(
    core: Core, wishes: Iterable[_Wish], held: Mapping[int, tuple[Holding, ...]]
) -> Iterable[Candidate]:
    for wish in wishes:
        holdings = held.get(wish.had.blob_id, ())
        if wish.to is None or not wish.had.present:
            continue
        if {holding.location for holding in holdings} != {wish.to}:
            refusal = core.placement.refusal(wish.had.domain, core.places.find(wish.to))
            yield Candidate(wish.had, holdings, wish.to, refusal)


def _retiered(
    core: Core, wishes: Iterable[_Wish], held: Mapping[int, tuple[Holding, ...]]
) -> Iterable[Retiered]:
    for wish in wishes:
        for holding in held.get(wish.had.blob_id, ()):
            place = core.places.find(holding.location)
            stands = place is None or place.primary or place.tier.value == holding.tier
            if not stands and holding.restore_status is None:
                yield Retiered(wish.had, holding.location)
