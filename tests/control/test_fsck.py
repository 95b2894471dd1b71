"""fsck finds each fault that is planted, and none where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from registry.contract import cbor
from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane
from registry.contract.digest import Algorithm, Digest
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import Tag
from registry.control import RepositoryPolicy
from registry.control.fsck import Checked
from registry.control.rebuild import rebuild
from registry.control.sql.opening import open_offline
from registry.control.sql.transaction import Transaction
from registry.dataplane import DataPlaneSettings, open_local
from tests.control.world import DEMO, OTHER, World, blake3, descriptor, image, index, open_world


async def fill(world: World) -> None:
    """A bit of everything."""
    await world.push_image("v1", [b"one", b"two"])
    await world.push_image("v1", [b"one"], OTHER)
    await world.push_manifest("all", index([image([b"one", b"two"])]))
    subject = descriptor(image([b"one", b"two"]), "application/vnd.oci.image.manifest.v1+json")
    await world.push_image(None, [b"signature"], subject=subject)
    await world.push_blob(b"one", algorithm=Algorithm.SHA512)
    await world.session.schemas.put("demo.kind.v1", {"type": "object"})
    package = NewPackage("demo.kind.v1", {"n": 1}, {"team": "a"}, (NewFile("f", blake3(b"one")),))
    await world.session.packages.put(DEMO, Tag("package"), package)


async def tamper(world: World, statement: str, **parameters: Any) -> None:
    """Change rows behind the store's back."""

    def change(tx: Transaction) -> None:
        assert tx.connection.execute(text(statement), parameters).rowcount > 0

    await world.store.core.database.write("vandal", change)


def messages(checked: Checked, kind: str) -> list[str]:
    return [fault.message for fault in checked.faults if fault.kind == kind]


async def test_a_sound_store_has_no_fault(world: World) -> None:
    await fill(world)
    checked = await world.fsck()
    assert checked.faults == []
    assert checked.contents == checked.unnamed + checked.contents > 0
    assert checked.bytes > 0
    quick = await world.fsck(structure_only=True)
    assert quick.faults == []
    assert quick.bytes == 0


async def test_an_empty_store_has_no_fault(world: World) -> None:
    assert (await world.fsck()).faults == []


PLANTED = {
    "a tag that points nowhere": "UPDATE tags SET manifest_id = 999999 WHERE name = 'v1'",
    "logical bytes": "UPDATE repository_usage SET logical = logical + 1",
    "exclusive bytes": "UPDATE repository_usage SET exclusive = exclusive + 1",
    "objects": "UPDATE repository_usage SET objects = objects - 1",
    "the store's bytes": "UPDATE store_usage SET physical = physical + 1",
    "the store's logical bytes": "UPDATE store_usage SET logical = logical + 1",
    "a repository without counters": "DELETE FROM repository_usage",
    "a repository that is gone": "DELETE FROM repositories WHERE name = 'demo/other'",
    "a link that is gone": "DELETE FROM repository_blobs WHERE as_manifest",
    "a place that is gone": "DELETE FROM storage_locations",
    "content that is gone": "DELETE FROM blobs WHERE size = 3",
    "a name that is gone": "DELETE FROM blob_digests WHERE digest_algorithm = 'blake3'",
}


@pytest.mark.parametrize("what", PLANTED)
async def test_faults_of_views_are_found_without_reading_content(world: World, what: str) -> None:
    await fill(world)
    await tamper(world, PLANTED[what])
    checked = await world.fsck(structure_only=True)
    assert messages(checked, "views") or messages(checked, "manifest")
    assert await rebuild_mends(world)


REMOVED = [
    "tags",
    "manifests",
    "manifest_edges",
    "manifest_fields",
    "blob_digests",
    "metadata_schemas",
    "repositories",
]


@pytest.mark.parametrize("view", REMOVED)
async def test_any_row_that_is_gone_from_a_view_is_found(world: World, view: str) -> None:
    await fill(world)
    await tamper(world, f"DELETE FROM {view}")
    checked = await world.fsck()
    assert any(view in message and "rebuild" in message for message in messages(checked, "views"))
    assert await rebuild_mends(world)


async def rebuild_mends(world: World) -> bool:
    rebuilt = await rebuild(world.database, world.dataplane)
    assert rebuilt.differing
    return (await world.fsck()).faults == []


LEDGER: dict[str, Callable[[Connection], object]] = {
    "a gap": lambda c: c.execute(text("DELETE FROM events WHERE seq = 3")),
    "the last events are gone": lambda c: c.execute(text("DELETE FROM events WHERE seq > 5")),
    "a column edited": lambda c: c.execute(text("UPDATE events SET scope = 'x' WHERE seq = 1")),
    "a time that decreases": lambda c: c.execute(text("UPDATE events SET time = 1 WHERE seq = 4")),
    "no CBOR": lambda c: edit(c, lambda envelope: b"\xff" + envelope[1:]),
    "another actor, not canonical": lambda c: edit(c, lambda envelope: envelope + b"\x00"),
    "another size": lambda c: edit(c, lambda envelope: with_seq(envelope, 77)),
}


def edit(connection: Connection, change: Callable[[bytes], bytes]) -> None:
    """Change the envelope of the second event."""
    envelope = bytes(connection.execute(text("SELECT envelope FROM events WHERE seq = 2")).scalar_one())
    connection.execute(text("UPDATE events SET envelope = :e WHERE seq = 2"), {"e": change(envelope)})


def with_seq(envelope: bytes, seq: int) -> bytes:
    document = cbor.decode(envelope)
    assert isinstance(document, dict)
    return cbor.encode({**document, "seq": seq})


@pytest.mark.parametrize("what", LEDGER)
async def test_an_edited_ledger_is_found(world: World, what: str) -> None:
    await fill(world)
    async with open_offline(world.database) as offline:
        await offline.run(LEDGER[what])
    checked = await world.fsck(structure_only=True)
    assert messages(checked, "ledger")
    assert messages(await world.fsck(), "ledger") == messages(checked, "ledger")


async def test_an_outcome_edited_in_the_ledger_shows_against_the_views(world: World) -> None:
    """Whoever rewrites an event in its proper form is found by what the views still say."""
    await fill(world)

    def rewrite(connection: Connection) -> None:
        found = connection.execute(text("SELECT seq, envelope FROM events WHERE kind = 'tag.set'")).first()
        assert found is not None
        document = cbor.decode(bytes(found.envelope))
        assert isinstance(document, dict)
        forged = cbor.encode({**document, "subject": "forged"})
        connection.execute(
            text("UPDATE events SET envelope = :e WHERE seq = :s"), {"e": forged, "s": found.seq}
        )

    async with open_offline(world.database) as offline:
        await offline.run(rewrite)
    assert any("tags" in message for message in messages(await world.fsck(), "views"))


# --- content, in files -----------------------------------------------------------------------------------


def file_of(root: Path, address: Digest) -> Path:
    """Where the local data plane keeps content."""
    return next(path for path in root.rglob("*") if path.is_file() and address.hex in str(path))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("harm", [flip, cut, grow, Path.unlink])
@pytest.mark.parametrize("victim", [b"one", image([b"one", b"two"])])
async def test_harmed_content_is_found_and_a_push_heals_it(
    tmp_path: Path, harm: Callable[[Path], None], victim: bytes
) -> None:
    dataplane = open_local(tmp_path / "data", settings=DataPlaneSettings(tiny_bytes=-1))
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        await fill(world)
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        harm(file_of(tmp_path / "data", blake3(victim)))
        found = messages(await world.fsck(), "content")
        assert len(found) == 1
        assert str(blake3(victim)) in found[0]
        quick = messages(await world.fsck(structure_only=True), "content")
        assert quick == ([] if harm is flip else found)
        if victim == b"one":
            await heal_blob(world, tmp_path, harm)
        else:
            await heal_manifest(world, victim)
        assert (await world.fsck()).faults == []
        await world.check()
    await dataplane.close()


async def test_a_manifest_harmed_in_the_log_of_tiny_blobs_is_found_and_healed(tmp_path: Path) -> None:
    victim = image([b"one", b"two"])
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        await fill(world)
    await dataplane.close()
    harm_bytes(tmp_path / "data", victim)
    dataplane = open_local(tmp_path / "data")
    async with open_world(tmp_path / "ledger.sqlite", dataplane) as world:
        (found,) = messages(await world.fsck(), "content")
        assert str(blake3(victim)) in found
        await heal_manifest(world, victim)
        assert (await world.fsck()).faults == []
        await world.check()
    await dataplane.close()


def harm_bytes(root: Path, data: bytes) -> None:
    """Change one bit of `data` wherever it lies."""
    harmed = 0
    for path in (path for path in root.rglob("*") if path.is_file()):
        stored = bytearray(path.read_bytes())
        at = stored.find(data)
        if at >= 0:
            stored[at + len(data) // 2] ^= 1
            path.chmod(0o600)
            path.write_bytes(stored)
            harmed += 1
    assert harmed == 1


async def heal_blob(world: World, folder: Path, harm: Callable[[Path], None]) -> None:
    """What a check has found corrupt is moved away, and a push brings it back."""
    if harm is not Path.unlink:
        await world.dataplane.quarantine(DEFAULT_DOMAIN, blake3(b"one"))
    await world.push_blob(b"one")


async def heal_manifest(world: World, document: bytes) -> None:
    """A reader notes it; a rebuild in between leaves out what the bytes say, and a push brings it back."""
    from registry.contract.errors import ErrorKind, StoreError

    with pytest.raises(StoreError) as caught:
        await world.session.manifests.get(DEMO, Tag("v1"))
    assert caught.value.kind is ErrorKind.MANIFEST_UNKNOWN
    known = messages(await world.fsck(), "known")
    assert len(known) == 1
    rebuilt = await rebuild(world.database, world.dataplane)
    assert rebuilt.faults == []
    assert "manifest_edges" in rebuilt.differing
    await world.push_manifest("v1", document)
    world.store.core.manifest_cache.drop(DEFAULT_DOMAIN, blake3(document))
    assert (await world.session.manifests.get(DEMO, Tag("v1"))).data == document


async def test_a_digest_that_names_other_bytes_is_found(world: World) -> None:
    await fill(world)
    wrong = f"sha512:{'0' * 128}"
    await tamper(world, "UPDATE blob_digests SET digest = :d WHERE digest_algorithm = 'sha512'", d=wrong)
    assert any(wrong in message for message in messages(await world.fsck(), "content"))


async def test_a_child_that_is_gone_is_found_unless_the_policy_is_sparse(
    database: str | Path, dataplane: DataPlane
) -> None:
    policies = (RepositoryPolicy(match="demo/*", sparse=True),)
    async with open_world(database, dataplane, policies=policies) as world:
        await world.push_manifest("v1", image([b"never pushed"]))
        assert (await world.fsck()).faults == []
    async with open_world(database, dataplane) as world:
        assert len(messages(await world.fsck(), "manifest")) == 2


async def test_bytes_without_rows_are_counted_and_not_blamed(world: World) -> None:
    await world.dataplane.put(DEFAULT_DOMAIN, b"orphan")
    checked = await world.fsck()
    assert checked.faults == []
    assert checked.unnamed == 1


async def test_no_false_alarm_beside_a_live_writer(world: World) -> None:
    await fill(world)
    done = False

    async def write() -> int:
        number = 0
        while not done:
            number += 1
            digest = await world.push_image(f"t{number % 7}", [f"live {number}".encode()])
            if number % 3 == 0:
                await world.session.manifests.delete(DEMO, digest)
                await world.session.blobs.delete(DEMO, blake3(f"live {number}".encode()))
        return number

    writer = asyncio.create_task(write())
    checks = [await world.fsck() for _ in range(6)]
    done = True
    assert await writer > 3
    assert [checked.faults for checked in checks] == [[]] * 6
