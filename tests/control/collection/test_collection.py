"""What nothing holds goes, with its bytes; all else stays, and a replay comes to the same."""

from __future__ import annotations

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.model import NewPackage
from registry.contract.names import Tag
from registry.control.collection import Collected
from registry.control.collection_plan import plan
from registry.control.fsck import fsck
from tests.control.collection.world import LATER, A, B, World, digest_of, stream
from tests.documents import EMPTY, index, manifest

LAYER, OTHER, LOOSE = b"a layer", b"another layer", b"nobody's"


async def test_a_blob_without_a_manifest_goes_when_its_lease_is_over(world: World) -> None:
    await world.push_blob(LAYER)
    await world.push(manifest(LAYER), "v1")
    await world.push_blob(LOOSE)
    assert await world.collect() == Collected()
    done = await world.collect(LATER)
    assert (done.unlinked, done.removed, done.freed, done.freed_bytes) == (1, 1, 1, len(LOOSE))
    assert await world.has_blob(LAYER)
    assert not await world.has_blob(LOOSE)
    assert str(digest_of(LOOSE)) not in await world.bytes_held()
    assert [event.size for event in await world.events("content.removed")] == [len(LOOSE)]
    assert (await fsck(world.store.core)).faults == []
    await world.rebuilds_to_the_same()


async def test_what_is_held_in_one_repository_leaves_the_other_alone(world: World) -> None:
    await world.push_blob(LAYER, A)
    await world.push(manifest(LAYER), "v1", A)
    await world.push_blob(LAYER, B)
    done = await world.collect(LATER)
    assert (done.unlinked, done.removed) == (1, 0)
    assert await world.has_blob(LAYER, A)
    assert not await world.has_blob(LAYER, B)
    await world.rebuilds_to_the_same()


async def test_manifests_stay_tagged_or_not_with_all_they_name(world: World) -> None:
    layers = [b"one", b"two", b"three", b"four"]
    for layer in layers:
        await world.push_blob(layer)
    child, untagged = manifest(layers[0]), manifest(layers[1])
    await world.push(child)
    await world.push(index(child), "multi")
    await world.push(untagged)
    signature = manifest(layers[2], subject={**_subject(untagged)})
    await world.push(signature)
    by_tag = manifest(layers[3])
    await world.push(by_tag, f"sha256-{digest_of(child).hex}.sig")
    absent = manifest(layers[2], subject=_subject(b"a manifest that is to come"))
    await world.push(absent)
    before = await world.bytes_held()
    done = await world.collect(30 * LATER)
    assert (done.manifests, done.unlinked, done.removed) == (0, 0, 0)
    assert await world.bytes_held() == before
    for data in (child, index(child), untagged, signature, by_tag, absent):
        assert await world.has_manifest(data)


async def test_a_blob_that_an_index_lists_stays(world: World) -> None:
    # BuildKit's cache lists blobs under `manifests`.
    await world.push_blob(LAYER)
    await world.push(index(LAYER), "cache")
    await world.collect(LATER)
    assert await world.has_blob(LAYER)


async def test_a_sha512_name_holds_as_well(world: World) -> None:
    await world.push_blob(LAYER)
    named = Digest.parse(f"sha512:{_sha512(LAYER)}")
    await world.session.uploads.put(A, named, stream(LAYER), length=len(LAYER))
    entry = {"mediaType": "application/octet-stream", "digest": str(named), "size": len(LAYER)}
    await world.push(manifest(layers=[entry]), "v1")
    await world.collect(LATER)
    assert await world.has_blob(LAYER)


async def test_what_a_deleted_manifest_named_stays_for_a_lease(world: World) -> None:
    await world.push_blob(LAYER)
    data = manifest(LAYER)
    await world.push(data, "v1")
    await world.collect(LATER)
    # This client hears that it need not push the layer; then the manifest goes.
    assert await world.has_blob(LAYER)
    await world.session.manifests.delete(A, digest_of(data))
    done = await world.collect()
    assert (done.unlinked, done.removed) == (0, 1), "the manifest's own bytes go, what it named does not"
    await world.push(manifest(LAYER, annotations={"a": "b"}), "v2")
    await world.collect(LATER)
    assert await world.has_blob(LAYER)
    await world.session.manifests.delete(A, digest_of(manifest(LAYER, annotations={"a": "b"})))
    await world.collect(LATER)
    assert await world.bytes_held() == {}
    await world.rebuilds_to_the_same()


async def test_drafts_schemas_and_native_uploads_hold_their_content(world: World) -> None:
    await world.session.schemas.put("team.report.v1", {"type": "object"})
    await world.session.schemas.put("team.report.v1", {"type": "object", "title": "newer"})
    await world.session.drafts.put_file(A, Tag("v1"), "a.txt", "text/plain", stream(LAYER), length=7)
    upload = await world.session.uploads.create(None)
    await world.session.uploads.append(None, upload.id, stream(OTHER))
    await world.session.uploads.complete(None, upload.id)
    before = await world.bytes_held()
    assert len(before) == 4
    await world.collect(LATER // 2)
    assert await world.bytes_held() == before
    await world.session.drafts.put_file(A, Tag("v1"), "b.txt", "text/plain", stream(LAYER), length=7)
    await world.collect(LATER // 2)
    assert str(digest_of(OTHER)) not in await world.bytes_held()
    accepted = await world.session.drafts.finalize(A, Tag("v1"), NewPackage())
    assert [file.relative_path for file in accepted.package.files] == ["a.txt", "b.txt"]
    await world.collect(LATER)
    assert await world.has_blob(LAYER)
    assert len(await world.rows("SELECT 1 FROM metadata_schemas")) == 2
    await world.rebuilds_to_the_same()


async def test_collected_content_can_come_again(world: World) -> None:
    for _ in range(3):
        await world.push_blob(LAYER)
        assert await world.read(LAYER) == LAYER
        await world.collect(LATER)
        assert not await world.has_blob(LAYER)
    await world.push_blob(LAYER)
    await world.push(manifest(LAYER), "v1")
    assert await world.read(LAYER) == LAYER
    assert (await fsck(world.store.core)).faults == []
    await world.rebuilds_to_the_same()


async def test_bytes_without_a_row_go_after_their_grace(world: World) -> None:
    await world.dataplane.put(DEFAULT_DOMAIN, LOOSE)
    first = await world.collect()
    assert (first.orphans, first.freed, first.waiting_bytes) == (1, 0, len(LOOSE))
    assert (await world.collect(LATER // 2)).freed == 0
    done = await world.collect(LATER // 2)
    assert (done.orphans, done.freed, done.freed_bytes) == (0, 1, len(LOOSE))
    assert await world.bytes_held() == {}


async def test_an_orphan_that_is_pushed_is_content_again(world: World) -> None:
    await world.dataplane.put(DEFAULT_DOMAIN, LOOSE)
    await world.collect()
    await world.push_blob(LOOSE)
    await world.push(manifest(LOOSE), "v1")
    await world.collect(LATER)
    assert await world.read(LOOSE) == LOOSE


async def test_a_plan_changes_nothing_and_says_what_the_run_frees(world: World) -> None:
    for data in (LAYER, OTHER, LOOSE):
        await world.push_blob(data)
    await world.push_blob(OTHER, B)
    await world.push(manifest(LAYER), "v1")
    assert (await plan(world.store.core)).reclaimable_bytes == 0
    world.clock.ahead += LATER
    head, before = await world.store.core.database.head(), await world.bytes_held()
    planned = await plan(world.store.core)
    assert (planned.unlinked, planned.removed) == (3, 2)
    assert planned.reclaimable_bytes == len(OTHER) + len(LOOSE)
    assert await world.store.core.database.head() == head
    assert await world.bytes_held() == before
    done = await world.collect()
    assert done.freed_bytes == planned.reclaimable_bytes
    assert (await plan(world.store.core)).reclaimable_bytes == 0


async def test_counters_agree_with_what_is_left(world: World) -> None:
    await world.push_blob(LAYER)
    await world.push_blob(LOOSE, B)
    await world.push(manifest(LAYER), "v1")
    await world.collect(LATER)
    usage = await world.session.usage(after=None, limit=10)
    assert usage.physical == usage.logical == len(LAYER) + len(EMPTY) + len(manifest(LAYER))
    assert (await fsck(world.store.core)).faults == []


async def test_only_one_process_collects(local: World) -> None:
    from registry.control import collection
    from registry.control.work import hold

    async with hold(local.store.core, collection.WORK) as first:
        try:
            async with hold(local.store.core, collection.WORK):
                raise AssertionError("two hold the work")
        except StoreError as error:
            assert "another process" in error.message
        # Whoever has been taken for dead changes nothing any more.
        local.clock.ahead += LATER
        async with hold(local.store.core, collection.WORK) as second:
            await second.save({"finished_at": 1, "orphans_at": 1})
            try:
                await first.save({"finished_at": 2, "orphans_at": 2})
                raise AssertionError("the old holder wrote")
            except StoreError as error:
                assert "another process" in error.message


def _subject(data: bytes) -> dict[str, object]:
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": str(digest_of(data)),
        "size": len(data),
    }


def _sha512(data: bytes) -> str:
    import hashlib

    return hashlib.sha512(data).hexdigest()
