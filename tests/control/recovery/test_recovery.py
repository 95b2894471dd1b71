"""A database that is lost comes back from storage alone: its ledger byte for byte, its views row by row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Tag
from registry.contract.tlog import ed25519
from registry.control.export.lineage import require_whole
from registry.control.export.state import WORK, Exported
from registry.control.recovery import Recovered, recover
from registry.control.recovery.recovering import Source
from registry.control.sql import followers as rows
from registry.control.sql.recovering import begun
from registry.control.work import load
from tests.control.export.writing import export, objects
from tests.control.export.writing import fill as fill_ledger
from tests.control.recovery.filling import Site, fill, ledger, orphan, put_package, views
from tests.control.world import DEMO, blake3, image, whole


async def test_everything_up_to_the_checkpoint_is_there_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site.opened(site.new_database()) as lost:
        await fill(lost)
        await export(lost.store)
        events, seen = await ledger(lost), await views(lost)
        tags = (await lost.session.manifests.tags(DEMO, after=None, limit=100)).items
        manifests = {tag: (await lost.session.manifests.get(DEMO, tag)).data for tag in tags}
        held = {(domain, address) async for domain, address, _ in site.dataplane.contents()}
    database = site.new_database()
    done = await site.recovered(database)
    assert (done.faults, done.missing_count, done.orphan_count, done.aside) == ([], 0, 0, 0)
    assert (done.events, done.replayed) == (len(events), len(events))
    async with site.opened(database) as back:
        assert await ledger(back) == events
        assert await views(back) == seen
        for tag, data in manifests.items():
            reading = await back.session.manifests.get(DEMO, tag)
            assert reading.data == data
        served = 0
        for domain, address in held:
            assert blake3(await whole(site.dataplane.read(domain, address))) == address
            served += 1
        assert done.present == done.contents == served
        with capsys.disabled():
            print(
                f"\n  before: {len(events)} events, {len(held)} objects, {len(manifests)} tags; "
                f"after: {done.replayed} events, {served} objects, {len(manifests)} tags"
            )
        await back.check()
        await put_package(back, "after", 9)
        assert await export(back.store) == await back.head() > len(events)


async def test_what_came_after_the_checkpoint_is_told_as_bytes_that_are_there(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        safe = await export(lost.store)
        await lost.push_image("late", [b"late layer"])
        late = image([b"late layer"])
    database = embedded.new_database()
    done = await embedded.recovered(database)
    assert (done.events, done.orphan_count) == (safe, 2)
    assert done.orphan_bytes == len(late) + len(b"late layer")
    told = {found.address: found.manifest for found in done.orphans}
    assert told[blake3(b"late layer")] is None
    assert told[blake3(late)] is not None
    assert "application/vnd.oci.image.manifest.v1+json" in (told[blake3(late)] or "")
    async with embedded.opened(database) as back:
        with pytest.raises(StoreError):
            await back.session.manifests.get(DEMO, Tag("late"))
        await back.push_image("late", [b"late layer"])
        assert (await back.session.manifests.get(DEMO, Tag("late"))).data == late
        await back.check()


async def test_content_that_is_not_in_storage_is_said_to_be_missing(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        safe = await export(lost.store)
        domain = lost.store.core.policies.of(DEMO).domain
    await embedded.dataplane.admit("test")
    await embedded.dataplane.remove(domain, blake3(b"layer one"), "test")
    database = embedded.new_database()
    done = await embedded.recovered(database)
    assert (done.missing_count, done.missing) == (1, [(domain, blake3(b"layer one"))])
    async with embedded.opened(database) as back:
        assert await back.head() == safe + 1
        assert (await back.kinds(after=safe)) == ["content.missing"]
        await back.push_blob(b"layer one")
        assert (await back.kinds(after=safe + 1))[0] == "content.healed"


async def test_a_dry_run_says_the_same_and_changes_nothing(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        await export(lost.store)
        await orphan(lost, b"nobody's")
    before = await objects(embedded.archive)
    database = embedded.new_database()
    source = Source(embedded.dataplane, embedded.archive)
    dry = await recover(source, database, dry_run=True)
    assert await objects(embedded.archive) == before
    assert not Path(database).exists()
    wet = await embedded.recovered(database)
    assert (dry.events, dry.present, dry.orphan_count) == (wet.events, wet.present, 1)


async def test_a_database_that_has_events_is_not_written_to(embedded: Site) -> None:
    database = embedded.new_database()
    async with embedded.opened(database) as lost:
        await fill(lost)
        safe = await export(lost.store)
        await lost.push_image("later")
        events = await ledger(lost)
    for resume in (False, True):
        with pytest.raises(
            StoreError, match=f"has {len(events)} events already, the storage {safe}"
        ) as refused:
            await embedded.recovered(database, resume=resume)
        assert refused.value.kind is ErrorKind.CONFLICT
    async with embedded.opened(database) as same:
        await require_whole(same.store.core)
        assert await ledger(same) == events


async def test_an_older_copy_of_the_database_is_topped_up(embedded: Site) -> None:
    """What the ledger does not have, such as the names behind actors, stays as the copy has it."""
    older = embedded.new_database()
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        someone = await lost.store.principal("someone")
        await lost.store.core.database.backup(str(older))
        for number in range(80):
            await lost.push_image(f"later{number}", [f"later {number}".encode()])
        await export(lost.store)
        events, seen = await ledger(lost), await views(lost)
    with pytest.raises(StoreError, match="events already"):
        await embedded.recovered(older)
    done = await embedded.recovered(older, resume=True)
    assert (done.events, done.orphan_count, done.missing_count) == (len(events), 0, 0)
    async with embedded.opened(older) as back:
        assert await ledger(back) == events
        assert await views(back) == seen
        assert await back.store.principal("someone") == someone


async def test_a_copy_that_went_its_own_way_is_not_topped_up(embedded: Site) -> None:
    older = embedded.new_database()
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        await lost.store.core.database.backup(str(older))
        for number in range(20):
            await lost.push_image(f"later{number}", [f"later {number}".encode()])
        await export(lost.store)
    async with embedded.opened(older) as other:
        await other.push_image("own", [b"own"])
        events = await ledger(other)
    with pytest.raises(StoreError, match="other events than the storage from event 1 on"):
        await embedded.recovered(older, resume=True)
    async with embedded.opened(older) as other:
        assert await other.store.core.database.read(begun) == {}
        assert await ledger(other) == events


async def test_storage_without_a_checkpoint_has_nothing_to_recover(embedded: Site) -> None:
    with pytest.raises(StoreError, match="holds no checkpoint"):
        await embedded.recovered(embedded.new_database())


async def test_a_checkpoint_of_another_key_is_refused(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        await export(lost.store)
        known = Exported.of(await load(lost.store.core, WORK))
    checkpoint = (await embedded.archive.get("checkpoint") or b"").decode()
    name = checkpoint.split("\n")[0]
    assert known.key is not None
    right = ed25519.signer(known.key, name).public
    wrong = ed25519.signer(ed25519.new_key(), name).public
    database = embedded.new_database()
    with pytest.raises(StoreError, match=r"checkpoint in storage is signed by .*nothing was recovered"):
        await recover(Source(embedded.dataplane, embedded.archive, wrong), database)
    done = await recover(Source(embedded.dataplane, embedded.archive, right), database)
    assert done.signed_by == f"{name}+{right.key_id.hex()}"


@pytest.mark.parametrize(
    ("name", "spoil", "why"),
    [
        ("tile/entries/000", lambda data: None, "tile/entries/000 of the ledger's export is missing"),
        ("tile/0/000", lambda data: None, "tile/0/000 of the ledger's export is missing"),
        ("tile/entries/000", lambda data: data[:-3], "ends in the middle of an entry"),
        ("tile/entries/000", lambda data: data[:40] + b"\xff" + data[41:], "event 1 in tile/entries/000"),
        ("tile/0/000", lambda data: data[:-1], "bytes where 256 hashes of 32 belong"),
        ("tile/0/000", lambda data: bytes(32) + data[32:], "event 1 in tile/entries/000"),
        ("tile/1/000.p/1", lambda data: bytes(32), "tile/1/000.p/1 .* does not follow from the tiles below"),
    ],
)
async def test_tiles_that_are_not_what_was_written_are_refused(
    embedded: Site, name: str, spoil: Callable[[bytes], bytes | None], why: str
) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        for number in range(60):
            await lost.push_image(f"v{number}", [f"layer {number}".encode()])
        assert await export(lost.store) > 256
    data = await embedded.archive.get(name)
    assert data is not None
    spoiled = spoil(data)
    if spoiled is None:
        await embedded.archive.delete(name)
    else:
        await embedded.archive.replace(name, spoiled)
    database = embedded.new_database()
    done = await embedded.recovered(database)
    assert any(re.search(why, fault) for fault in done.faults), done.faults
    assert done.replayed == 0
    async with embedded.opened(database) as empty:
        assert await empty.head() == 0


async def test_entries_and_tiles_forged_together_do_not_have_the_root(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        await export(lost.store)
    checkpoint = await embedded.archive.get("checkpoint") or b""
    lines = checkpoint.decode().split("\n")
    lines[2] = "A" * 43 + "="
    await embedded.archive.replace("checkpoint", "\n".join(lines).encode())
    done = await embedded.recovered(embedded.new_database())
    assert any("do not have the root hash" in fault for fault in done.faults)


async def test_what_no_checkpoint_covered_is_set_aside(embedded: Site) -> None:
    """A kill between tiles and checkpoint leaves tiles of lost events; others will take their place."""
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        safe = await export(lost.store)
        checkpoint = await embedded.archive.get("checkpoint") or b""
        for number in range(100):
            await lost.push_image(f"late{number}", [f"late {number}".encode()])
        assert await export(lost.store) > 256
        await embedded.archive.replace("checkpoint", checkpoint)
    bundle = await embedded.archive.get("tile/entries/000") or b""
    database = embedded.new_database()
    done = await embedded.recovered(database)
    assert done.events == safe
    assert done.aside >= 4
    assert await embedded.archive.get(f"aside/{safe}/tile/entries/000") == bundle
    async with embedded.opened(database) as back:
        for number in range(100):
            await back.push_image(f"again{number}", [f"again {number}".encode()])
        assert await export(back.store) == await back.head()


async def test_followers_go_on_where_they_were(embedded: Site) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        write = lost.store.core.database.write
        await write("test", lambda tx: rows.enrol(tx.connection, "hook", 7))
        await write("test", lambda tx: rows.enrol(tx.connection, "stopped", 9))
        await write("test", lambda tx: rows.set_stopped(tx.connection, "stopped", stopped=True))
        await export(lost.store)
        found = json.loads(await embedded.archive.get("followers.json") or b"")
        assert [one["name"] for one in found["followers"]] == ["hook", "stopped"]
    database = embedded.new_database()
    done = await embedded.recovered(database)
    assert done.followers == 2
    async with embedded.opened(database) as back:
        places = {row.name: row for row in await back.store.core.database.read(rows.rows)}
        assert (places["hook"].place.cursor, places["hook"].stopped) == (7, False)
        assert (places["stopped"].place.cursor, places["stopped"].stopped) == (9, True)


async def test_a_database_whose_recovery_has_not_ended_is_not_served(
    embedded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedded.opened(embedded.new_database()) as lost:
        await fill(lost)
        await export(lost.store)
        seen = await views(lost)
    database = embedded.new_database()
    for step in ("ledger.write", "rebuild", "contents.find_missing", "contents.find_orphans", "_end"):

        async def die(*_arguments: object, **_more: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(f"registry.control.recovery.recovering.{step}", die)
            with pytest.raises(KeyboardInterrupt):
                await embedded.recovered(database, resume=True)
        async with embedded.opened(database) as half:
            with pytest.raises(StoreError, match="recover --resume"):
                await require_whole(half.store.core)
        with pytest.raises(StoreError, match="--resume goes on with it"):
            await embedded.recovered(database)
    done = await embedded.recovered(database, resume=True)
    assert done.missing_count == 0
    async with embedded.opened(database) as back:
        await require_whole(back.store.core)
        assert await views(back) == seen
        await back.check()


async def test_a_ledger_that_was_written_in_part_is_completed(
    embedded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.control.recovery.ledger._AT_ONCE", 256)
    async with embedded.opened(embedded.new_database()) as lost:
        await fill_ledger(lost.store, 1000)
        await export(lost.store)
        events = await ledger(lost)
    database = embedded.new_database()

    def die(done: Recovered) -> None:
        if done.step == "wrote 512 events":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await recover(Source(embedded.dataplane, embedded.archive), database, progress=die)
    async with embedded.opened(database) as half:
        assert await half.head() == 512
    done = await embedded.recovered(database, resume=True)
    assert done.replayed == 1000
    async with embedded.opened(database) as back:
        assert await ledger(back) == events
