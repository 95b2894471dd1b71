"""Who was told that content is there finds it, and those who ask often do not make the store write."""

from __future__ import annotations

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import Tag
from registry.control.core import DAY, HOUR, SECOND
from tests.control.collection.world import LATER, A, B, World, digest_of, stream
from tests.documents import manifest

LAYER = b"a layer that is asked for"


async def leases(world: World) -> int:
    return len(await world.rows("SELECT 1 FROM content_leases"))


async def test_a_head_holds_a_blob_for_a_day_from_then(world: World) -> None:
    await world.push_blob(LAYER)
    world.clock.ahead += 20 * HOUR
    assert await world.has_blob(LAYER)
    await world.collect(20 * HOUR)
    assert await world.has_blob(LAYER)
    await world.push(manifest(LAYER), "v1")
    await world.collect(LATER)
    assert await world.read(LAYER) == LAYER


async def test_new_content_needs_no_lease_and_one_head_writes_one(world: World) -> None:
    await world.push_blob(LAYER)
    assert await world.has_blob(LAYER)
    assert await leases(world) == 0
    world.clock.ahead += 13 * HOUR
    assert await world.has_blob(LAYER)
    (before,) = await world.rows("SELECT expires_at FROM content_leases")
    world.clock.ahead += HOUR // 2
    assert await world.has_blob(LAYER)
    assert await world.rows("SELECT expires_at FROM content_leases") == [before]
    world.clock.ahead += 2 * HOUR
    assert await world.has_blob(LAYER)
    (after,) = await world.rows("SELECT expires_at FROM content_leases")
    assert after > before


async def test_whoever_is_told_last_has_a_whole_day(world: World) -> None:
    """The blob came hours before, from somebody else; this client's manifest comes just within a day."""
    tells = (world.push_blob, world.push_staged, world.has_blob)
    for number, tell in enumerate(tells):
        data = LAYER + bytes([number])
        await world.push_blob(data)
        world.clock.ahead += 11 * HOUR
        assert await tell(data)
        await world.collect(DAY - SECOND)
        await world.push(manifest(data), f"v{number}")
        assert await world.read(data) == data


async def test_what_was_a_manifest_and_a_blob_is_leased_as_a_blob(world: World) -> None:
    data = manifest()
    await world.push_blob(data)
    await world.push(data, "v1")
    world.clock.ahead += LATER
    assert await world.has_blob(data), "the manifest holds it, and so this wrote no lease"
    await world.session.manifests.delete(A, digest_of(data))
    await world.collect()
    assert await world.has_blob(data)


async def test_what_a_manifest_names_is_never_leased(world: World) -> None:
    await world.push_blob(LAYER)
    await world.push(manifest(LAYER), "v1")
    world.clock.ahead += LATER
    assert await world.has_blob(LAYER)
    await world.push_blob(LAYER)
    assert await leases(world) == 0


async def test_a_mount_and_a_second_push_renew(world: World) -> None:
    await world.push_blob(LAYER)
    await world.push(manifest(LAYER), "v1")
    world.clock.ahead += LATER
    assert await world.session.blobs.mount(B, digest_of(LAYER), A)
    await world.collect(20 * HOUR)
    await world.push_staged(LAYER, B)
    await world.collect(20 * HOUR)
    await world.push(manifest(LAYER), "v1", B)
    await world.collect(LATER)
    assert await world.has_blob(LAYER, B)


async def test_healing_by_a_push_is_leased(world: World) -> None:
    await world.push_blob(LAYER)
    world.clock.ahead += 20 * HOUR
    address = await world.address_of(LAYER)
    for domain, found, _ in [item async for item in world.dataplane.contents()]:
        if found == address:
            await world.dataplane.remove(domain, found)
    assert not await world.has_blob(LAYER)
    await world.push_blob(LAYER)
    await world.collect(10 * HOUR)
    assert await world.read(LAYER) == LAYER


async def test_content_by_its_address_is_held_for_who_asks(world: World) -> None:
    upload = await world.session.uploads.create(None)
    await world.session.uploads.append(None, upload.id, stream(LAYER))
    content = await world.session.uploads.complete(None, upload.id)
    world.clock.ahead += 20 * HOUR
    assert (await world.session.contents.get(content.blake3)).size == len(LAYER)
    await world.collect(20 * HOUR)
    package = NewPackage(files=(NewFile("a", content.blake3),))
    assert (await world.session.packages.put(A, Tag("v1"), package)).created
    await world.collect(LATER)
    assert await world.has_blob(LAYER)


async def test_a_lease_gives_no_right_to_read(world: World) -> None:
    await world.push_blob(LAYER)
    world.clock.ahead += 20 * HOUR
    assert await world.has_blob(LAYER)
    address = await world.address_of(LAYER)
    await world.session.blobs.delete(A, digest_of(LAYER))
    for session in (world.session, world.store.for_principal(await world.store.principal("other"))):
        try:
            await session.contents.get(address)
            raise AssertionError("a lease let somebody read")
        except StoreError as error:
            assert error.kind is ErrorKind.CONTENT_UNKNOWN
