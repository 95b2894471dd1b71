"""What an operator does: look, redeliver, skip, seek, stop, resume, forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.dataplane import DataPlane
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import Principal
from registry.contract.names import Repository
from registry.control import open_store
from tests.control.followers.shelf import AWAY, GONE, REFUSED, Following, following
from tests.control.world import ALICE, HOUR


async def bury(one: Following, seqs: list[int]) -> None:
    """Let these events become dead letters."""
    one.shelf.refuse = lambda event: REFUSED if event.event.seq in seqs else None
    await one.catch_up()
    one.shelf.refuse = lambda _event: None
    one.clock.advance(HOUR)
    assert (await one.store.followers())[0].dead_letters == len(seqs)


async def test_dead_letters_are_redelivered_by_number_or_all(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, attempts=1) as one:
        seqs = await one.happen(4)
        one.clock.advance(HOUR)
        for seq in seqs[:3]:
            one.shelf.refuse = lambda event, seq=seq: REFUSED if event.event.seq == seq else None  # type: ignore[misc]
            await one.catch_up()
            one.clock.advance(HOUR)
        one.shelf.refuse = lambda _event: None
        await one.catch_up()
        assert one.shelf.seqs() == seqs[3:]
        admin = one.session.followers
        assert await admin.redeliver("shelf", [seqs[1]]) == 1
        await one.catch_up()
        assert one.shelf.seqs() == [seqs[3], seqs[1]]
        assert await admin.redeliver("shelf", None) == 2
        await one.catch_up()
        assert one.shelf.seqs() == [seqs[3], seqs[1], seqs[0], seqs[2]]
        (status,) = await one.store.followers()
        assert (status.dead_letters, status.delivered, status.cursor) == (0, 4, seqs[3])


async def test_a_letter_that_is_refused_again_stays_until_it_is_asked_for_anew(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, attempts=1) as one:
        seqs = await one.happen(2)
        await bury(one, seqs[:1])
        one.shelf.refuse = lambda event: REFUSED if event.event.seq == seqs[0] else None
        await one.session.followers.redeliver("shelf", None)
        await one.catch_up()
        page = await one.session.followers.dead_letters("shelf", after=0, limit=10)
        assert [(letter.seq, letter.attempts, letter.queued) for letter in page.items] == [
            (seqs[0], 2, False)
        ]
        assert one.shelf.seqs() == seqs[1:], "it keeps nobody waiting"


async def test_letters_wait_for_a_receiver_that_is_away(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane, attempts=1) as one:
        seqs = await one.happen(2)
        await bury(one, seqs[:1])
        await one.catch_up()
        one.shelf.refuse = lambda _event: AWAY
        await one.session.followers.redeliver("shelf", None)
        await one.catch_up()
        (status,) = await one.store.followers()
        assert (status.queued, status.state, status.reason) == (1, "retrying", "nobody is there")
        one.shelf.refuse = lambda _event: None
        one.clock.advance(HOUR)
        await one.catch_up()
        assert one.shelf.seqs() == [seqs[1], seqs[0]]


async def test_pages_of_dead_letters(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane, attempts=1) as one:
        seqs = await one.happen(5)
        for _ in seqs:
            one.shelf.refuse = lambda _event: REFUSED
            await one.catch_up()
            one.clock.advance(HOUR)
        admin, found, after = one.session.followers, [], 0
        while True:
            page = await admin.dead_letters("shelf", after=after, limit=2)
            found += [letter.seq for letter in page.items]
            if page.next is None:
                break
            after = int(page.next)
        assert found == seqs


async def test_an_endpoint_that_is_gone_stops_the_follower_until_it_is_resumed(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(3)
        one.shelf.refuse = lambda event: GONE if event.event.seq == seqs[1] else None
        await one.catch_up()
        one.clock.advance(HOUR)
        await one.runner.turn()
        (status,) = await one.store.followers()
        assert (status.state, status.dead_letters, status.reason) == ("stopped", 0, "it answered 410")
        assert len(one.shelf.windows) == 1
        one.shelf.refuse = lambda _event: None
        await one.session.followers.resume("shelf")
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_what_is_stopped_delivers_nothing(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane) as one:
        await one.runner.turn()
        await one.session.followers.stop("shelf")
        seqs = await one.happen(3)
        await one.runner.turn()
        assert one.shelf.seqs() == []
        await one.session.followers.resume("shelf")
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_resume_does_not_wait_for_the_next_attempt(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(3)
        one.shelf.refuse = lambda _event: AWAY
        await one.catch_up()
        one.shelf.refuse = lambda _event: None
        await one.catch_up()
        assert one.shelf.seqs() == [], "it is not time yet"
        await one.session.followers.resume("shelf")
        await one.catch_up()
        assert one.shelf.seqs() == seqs


async def test_skip_gives_the_event_in_the_way_up_and_nothing_else(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(3)
        with pytest.raises(StoreError) as caught:
            await one.session.followers.skip("shelf")
        assert caught.value.kind is ErrorKind.FOLLOWER_UNKNOWN, "it has no place yet"
        one.shelf.refuse = lambda event: AWAY if event.event.seq == seqs[1] else None
        await one.catch_up()
        assert await one.session.followers.skip("shelf") == seqs[1]
        await one.catch_up()
        assert one.shelf.seqs() == [seqs[0], seqs[2]]
        page = await one.session.followers.dead_letters("shelf", after=0, limit=10)
        assert [(letter.seq, letter.reason) for letter in page.items] == [
            (seqs[1], "skipped: nobody is there")
        ]
        with pytest.raises(StoreError) as caught:
            await one.session.followers.skip("shelf")
        assert caught.value.kind is ErrorKind.CONFLICT


async def test_seek_goes_back_and_forth(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(4)
        await one.catch_up()
        await one.session.followers.seek("shelf", seqs[1])
        await one.catch_up()
        assert one.shelf.seqs() == seqs + seqs[2:]
        more = await one.happen(3)
        await one.session.followers.seek("shelf", more[1])
        await one.catch_up()
        assert one.shelf.seqs() == [*seqs, *seqs[2:], more[2]]
        with pytest.raises(StoreError) as caught:
            await one.session.followers.seek("shelf", 10**6)
        assert caught.value.kind is ErrorKind.CONFLICT


async def test_a_seek_during_a_delivery_stands(database: str | Path, dataplane: DataPlane) -> None:
    async with following(database, dataplane) as one:
        seqs = await one.happen(3)

        async def meanwhile() -> None:
            one.shelf.before = None
            await one.session.followers.seek("shelf", seqs[1])

        one.shelf.before = meanwhile
        await one.catch_up()
        assert one.shelf.seqs() == [*seqs, seqs[2]]


async def test_a_follower_that_is_set_no_more_can_be_forgotten(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane, attempts=1) as one:
        await bury(one, (await one.happen(2))[:1])
        with pytest.raises(StoreError) as caught:
            await one.session.followers.forget("shelf")
        assert caught.value.kind is ErrorKind.CONFLICT
    store = await open_store(dataplane, database)
    admin = store.for_principal(ALICE).followers
    (left,) = await admin.list()
    assert (left.name, left.configured, left.dead_letters) == ("shelf", False, 1)
    assert await store.followers() == (), "metrics are about what is set"
    await admin.forget("shelf")
    assert await admin.list() == ()
    for call in (
        admin.get("shelf"),
        admin.stop("shelf"),
        admin.seek("shelf", 0),
        admin.redeliver("shelf", None),
    ):
        with pytest.raises(StoreError) as caught:
            await call
        assert caught.value.kind is ErrorKind.FOLLOWER_UNKNOWN
    await store.close()


async def test_letters_that_are_none_cannot_be_redelivered(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with following(database, dataplane) as one:
        await one.runner.turn()
        with pytest.raises(StoreError, match="no dead letter of the follower shelf: 3, 4") as caught:
            await one.session.followers.redeliver("shelf", [4, 3])
        assert caught.value.kind is ErrorKind.CONFLICT


async def test_only_who_may_administer_sees_followers(tmp_path: Path, dataplane: DataPlane) -> None:
    def authorize(_principal: Principal, action: str, _repository: Repository | None) -> None:
        if action == "admin":
            raise StoreError(ErrorKind.DENIED, "no")

    store = await open_store(dataplane, tmp_path / "guarded.sqlite", authorize=authorize)
    admin = store.for_principal(ALICE).followers
    calls = (
        admin.list(), admin.get("a"), admin.dead_letters("a", after=0, limit=1), admin.redeliver("a", None),
        admin.skip("a"), admin.seek("a", 0), admin.stop("a"), admin.resume("a"), admin.forget("a"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(StoreError) as caught:
            await call
        assert caught.value.kind is ErrorKind.DENIED
    await store.close()
