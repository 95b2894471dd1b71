"""Manifests, tags, blobs and referrers of a repository: what is accepted, what is refused, who sees what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, DomainId
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind
from registry.contract.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registry.contract.model import Precondition
from registry.contract.names import Repository, Tag
from registry.control import Limits, RepositoryPolicy
from tests.control.world import (
    DEMO,
    OTHER,
    World,
    blake3,
    descriptor,
    image,
    index,
    once,
    open_world,
    refused,
    sha256,
    whole,
)

UNKNOWN = sha256(b"nobody has this")


async def test_the_exact_bytes_come_back_by_every_name(world: World) -> None:
    data = image([b"layer"]).replace(b'"schemaVersion": 2', b'\n "schemaVersion":2, "unknown": [1.50]')
    await world.push_blob(b"{}")
    await world.push_blob(b"layer")
    accepted = await world.session.manifests.put(DEMO, Tag("v1"), OCI_MANIFEST, data, tags=[Tag("v2")])
    assert (accepted.digest, accepted.created, accepted.subject) == (sha256(data), True, None)
    assert accepted.tags == ("v1", "v2")
    for reference in (Tag("v1"), Tag("v2"), sha256(data), blake3(data)):
        stored = await world.session.manifests.get(DEMO, reference)
        assert (stored.data, stored.media_type) == (data, OCI_MANIFEST)
        assert stored.digest == (reference if isinstance(reference, Digest) else sha256(data))
    assert await whole((await world.session.blobs.get(DEMO, sha256(data))).stream()) == data
    async with refused(world, ErrorKind.MANIFEST_UNKNOWN):
        await world.session.manifests.get(DEMO, sha256(b"layer"))
    await world.check()


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_a_tag_answers_in_the_algorithm_it_was_pushed_with(world: World, algorithm: Algorithm) -> None:
    await world.push_image("v1")
    data = image()
    digest = Digest.of(data, algorithm)
    accepted = await world.session.manifests.put(DEMO, digest, OCI_MANIFEST, data, tags=[Tag("named")])
    assert (accepted.digest, accepted.created) == (digest, False)
    assert (await world.session.manifests.get(DEMO, Tag("named"))).digest == digest
    assert (await world.session.manifests.get(DEMO, Tag("v1"))).digest == sha256(data)
    await world.check()


async def test_putting_the_same_again_changes_nothing(world: World) -> None:
    await world.push_image("v1")
    head = await world.head()
    await world.push_image("v1")
    assert await world.head() == head


async def test_refusals_of_put(world: World) -> None:
    await world.push_blob(b"{}")
    await world.push_blob(b"layer")
    put = world.session.manifests.put
    good = image([b"layer"])
    for kind, reference, media_type, data in (
        (ErrorKind.MANIFEST_INVALID, Tag("v1"), OCI_MANIFEST, b"{"),
        (ErrorKind.MANIFEST_INVALID, Tag("v1"), OCI_INDEX, good),
        (ErrorKind.MANIFEST_INVALID, Tag("v1"), None, b"{}"),
        (ErrorKind.DIGEST_MISMATCH, UNKNOWN, OCI_MANIFEST, good),
        (ErrorKind.MANIFEST_CHILD_UNKNOWN, Tag("v1"), OCI_MANIFEST, image([b"layer", b"absent"])),
        (ErrorKind.MANIFEST_CHILD_UNKNOWN, Tag("v1"), OCI_INDEX, index([good])),
    ):
        async with refused(world, kind):
            await put(DEMO, reference, media_type, data)
    async with refused(world, ErrorKind.MANIFEST_CHILD_UNKNOWN) as seen:
        await put(DEMO, Tag("v1"), OCI_MANIFEST, image([b"absent"]))
    assert seen.error is not None
    assert seen.error.detail["missing"] == [str(sha256(b"absent"))]
    # Nothing of the refused is there as bytes either.
    held = [address async for _, address, _ in world.dataplane.contents(DEFAULT_DOMAIN)]
    assert sorted(held) == sorted([blake3(b"{}"), blake3(b"layer")])


async def test_what_lies_in_another_repository_is_absent_here(world: World) -> None:
    await world.push_image("v1", repository=OTHER)
    await world.push_blob(b"{}")
    async with refused(world, ErrorKind.MANIFEST_CHILD_UNKNOWN):
        await world.push_manifest("v1", image())
    async with refused(world, ErrorKind.BLOB_UNKNOWN):
        await world.session.blobs.get(DEMO, sha256(b"layer"))
    async with refused(world, ErrorKind.MANIFEST_UNKNOWN):
        await world.session.manifests.get(DEMO, sha256(image()))


async def test_too_large_a_manifest(database: str | Path, dataplane: DataPlane) -> None:
    async with open_world(database, dataplane, limits=Limits(manifest_bytes=100)) as world:
        async with refused(world, ErrorKind.TOO_LARGE):
            await world.push_manifest("v1", image())


async def test_what_may_lack(world: World) -> None:
    """Non-distributable layers may be absent, a subject too; a list may be empty."""
    await world.push_blob(b"{}")
    foreign = descriptor(b"far", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    document = json.loads(image([])) | {"layers": [foreign], "subject": descriptor(b"none", OCI_MANIFEST)}
    data = json.dumps(document).encode()
    accepted = await world.session.manifests.put(DEMO, Tag("v1"), OCI_MANIFEST, data)
    assert accepted.subject == sha256(b"none")
    await world.push_manifest("empty", index([]))
    await world.check()


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, "application/vnd.unheard-of+json"])
async def test_other_kinds_of_manifest(world: World, media_type: str) -> None:
    await world.push_blob(b"{}")
    data = json.dumps(json.loads(image([])) | {"mediaType": media_type}).encode()
    await world.session.manifests.put(DEMO, Tag("v1"), media_type, data)
    assert (await world.session.manifests.get(DEMO, Tag("v1"))).media_type == media_type
    listed = json.dumps(json.loads(index([data])) | {"mediaType": DOCKER_LIST}).encode()
    await world.session.manifests.put(DEMO, Tag("list"), DOCKER_LIST, listed)
    async with refused(world, ErrorKind.IN_USE):
        await world.session.manifests.delete(DEMO, sha256(data))
    await world.check()


async def test_the_same_bytes_have_one_type_in_a_repository(world: World) -> None:
    data = b'{"schemaVersion":2,"manifests":[]}'
    await world.session.manifests.put(DEMO, Tag("v1"), OCI_INDEX, data)
    async with refused(world, ErrorKind.MANIFEST_INVALID):
        await world.session.manifests.put(DEMO, Tag("v2"), DOCKER_LIST, data)


# --- deletion --------------------------------------------------------------------------------------------


async def test_deleting_a_tag_leaves_the_manifest(world: World) -> None:
    digest = await world.push_image("v1")
    await world.session.manifests.delete(DEMO, Tag("v1"))
    assert (await world.session.manifests.get(DEMO, digest)).digest == digest
    async with refused(world, ErrorKind.MANIFEST_UNKNOWN):
        await world.session.manifests.get(DEMO, Tag("v1"))
    async with refused(world, ErrorKind.MANIFEST_UNKNOWN):
        await world.session.manifests.delete(DEMO, Tag("v1"))


async def test_deleting_a_manifest_takes_its_tags(world: World) -> None:
    digest = await world.push_image("v1")
    await world.push_image("v2")
    await world.session.manifests.delete(DEMO, blake3(image()))
    assert (await world.session.manifests.tags(DEMO, after=None, limit=10)).items == ()
    assert (await world.kinds())[-3:] == ["tag.deleted", "tag.deleted", "manifest.deleted"]
    async with refused(world, ErrorKind.MANIFEST_UNKNOWN):
        await world.session.manifests.delete(DEMO, digest)
    await world.session.blobs.delete(DEMO, sha256(b"layer"))
    await world.check()


async def test_what_is_in_use_stays(world: World) -> None:
    await world.push_image("v1")
    listing = await world.push_manifest("all", index([image()]))
    for digest in (sha256(image()), blake3(image())):
        async with refused(world, ErrorKind.IN_USE) as seen:
            await world.session.manifests.delete(DEMO, digest)
        assert seen.error is not None
        assert seen.error.detail["used_by"] == [str(listing)]
    for digest in (sha256(b"layer"), blake3(b"layer"), sha256(b"{}")):
        async with refused(world, ErrorKind.IN_USE) as seen:
            await world.session.blobs.delete(DEMO, digest)
        assert seen.error is not None
        assert seen.error.detail["used_by"] == [str(sha256(image()))]
    await world.session.manifests.delete(DEMO, listing)
    await world.session.manifests.delete(DEMO, sha256(image()))
    await world.session.blobs.delete(DEMO, sha256(b"layer"))
    async with refused(world, ErrorKind.BLOB_UNKNOWN):
        await world.session.blobs.delete(DEMO, sha256(b"layer"))
    await world.check()


async def test_deletion_is_of_one_repository(world: World) -> None:
    await world.push_image("v1")
    await world.push_image("v1", repository=OTHER)
    await world.session.manifests.delete(DEMO, sha256(image()))
    await world.session.blobs.delete(DEMO, sha256(b"layer"))
    assert (await world.session.manifests.get(OTHER, Tag("v1"))).data == image()
    assert (await world.session.blobs.get(OTHER, sha256(b"layer"))).size == 5


# --- conditions and policies -----------------------------------------------------------------------------


async def test_conditions_on_put(world: World) -> None:
    first = await world.push_image("v1")
    await world.push_blob(b"other")
    other = image([b"other"])
    put = world.session.manifests.put
    for condition in (Precondition(if_absent=True), Precondition(if_match=(UNKNOWN,))):
        async with refused(world, ErrorKind.PRECONDITION_FAILED):
            await put(DEMO, Tag("v1"), OCI_MANIFEST, other, precondition=condition)
    async with refused(world, ErrorKind.PRECONDITION_FAILED):
        await put(DEMO, Tag("v2"), OCI_MANIFEST, other, precondition=Precondition(if_match=(first,)))
    await put(DEMO, Tag("v2"), OCI_MANIFEST, other, precondition=Precondition(if_absent=True))
    condition = Precondition(if_match=(UNKNOWN, blake3(image())))
    await put(DEMO, Tag("v1"), OCI_MANIFEST, other, precondition=condition)
    assert (await world.session.manifests.get(DEMO, Tag("v1"))).data == other


async def test_immutable_tags(database: str | Path, dataplane: DataPlane) -> None:
    policies = (RepositoryPolicy(match="demo/*", immutable_tags=("v*", "sha256-*")),)
    async with open_world(database, dataplane, policies=policies) as world:
        digest = await world.push_image("v1")
        await world.push_image("latest")
        signature = f"sha256-{digest.hex}.sig"
        await world.push_image(signature)
        await world.push_blob(b"other")
        async with refused(world, ErrorKind.HELD):
            await world.push_manifest("v1", image([b"other"]))
        async with refused(world, ErrorKind.HELD):
            await world.session.manifests.delete(DEMO, Tag("v1"))
        async with refused(world, ErrorKind.HELD):
            await world.session.packages.delete(DEMO, Tag("v1"))
        await world.push_manifest("v1", image())
        await world.push_manifest("latest", image([b"other"]))
        await world.push_manifest(signature, image([b"other"]))


async def test_a_held_manifest_does_not_go_by_its_digest(database: str | Path, dataplane: DataPlane) -> None:
    """Deleting the manifest would remove the immutable tag with it."""
    policies = (RepositoryPolicy(immutable_tags=("v*",)),)
    async with open_world(database, dataplane, policies=policies) as world:
        digest = await world.push_image("v1")
        async with refused(world, ErrorKind.HELD):
            await world.session.manifests.delete(DEMO, digest)


async def test_domains_part_what_repositories_hold(database: str | Path, dataplane: DataPlane) -> None:
    policies = (RepositoryPolicy(match="secret/*", domain=DomainId("secret")),)
    secret = Repository("secret/app")
    async with open_world(database, dataplane, policies=policies) as world:
        await world.push_image("v1")
        assert not await world.session.blobs.mount(secret, sha256(b"layer"), DEMO)
        assert not await world.session.blobs.mount(secret, sha256(b"layer"), None)
        await world.push_image("v1", repository=secret)
        held = [domain async for domain, address, _ in dataplane.contents() if address == blake3(b"layer")]
        assert sorted(held) == ["default", "secret"]
        async with refused(world, ErrorKind.VALIDATION_FAILED):
            await world.session.packages.promote(secret, Tag("p"), DEMO, sha256(image()))
        await world.check()
    # A repository stays where it was created, whatever the policy says later.
    async with open_world(database, dataplane) as world:
        await world.push_image("v2", [b"later"], secret)
        assert (await world.session.manifests.get(secret, Tag("v2"))).data == image([b"later"])
        assert (await world.fsck()).faults == []


# --- mounts ----------------------------------------------------------------------------------------------


async def test_mounts(world: World) -> None:
    await world.push_image("v1")
    mount = world.session.blobs.mount
    assert not await mount(OTHER, UNKNOWN, DEMO)
    assert not await mount(OTHER, sha256(b"layer"), Repository("no/where"))
    assert (await world.session.manifests.repositories(after=None, limit=10)).items == (DEMO,)
    assert await mount(OTHER, sha256(b"layer"), DEMO)
    assert await mount(OTHER, blake3(b"{}"), None)
    assert await mount(OTHER, sha256(image()), DEMO)
    head = await world.head()
    assert await mount(OTHER, sha256(b"layer"), DEMO)
    assert await world.head() == head
    await world.push_manifest("v1", image(), OTHER)
    await world.check()


async def test_a_mount_without_a_source_needs_something_that_holds_it(world: World) -> None:
    await world.push_blob(b"mine")
    await world.session.blobs.delete(DEMO, sha256(b"mine"))
    assert not await world.session.blobs.mount(OTHER, sha256(b"mine"), None)


# --- lists -----------------------------------------------------------------------------------------------


async def test_tags_come_in_byte_order_page_by_page(world: World) -> None:
    names = ["v10", "v9", "V1", "_x", "a.b", "a-b", "latest"]
    await world.push_image(names[0])
    for name in names[1:]:
        await world.push_manifest(name, image())
    tags = world.session.manifests.tags
    found: list[str] = []
    after: str | None = None
    while True:
        page = await tags(DEMO, after=after, limit=2)
        found.extend(page.items)
        after = page.next
        if after is None:
            break
    assert found == sorted(names)
    assert (await tags(DEMO, after="a.b", limit=100)).items == tuple(sorted(names)[4:])
    assert (await tags(DEMO, after=None, limit=0)).items == ()
    assert (await tags(DEMO, after="zzz", limit=1)).items == ()
    async with refused(world, ErrorKind.REPOSITORY_UNKNOWN):
        await tags(OTHER, after=None, limit=1)


async def test_repositories_come_in_byte_order_page_by_page(world: World) -> None:
    names = ["b", "a/b", "a-b", "a", "a/b/c", "a.b", "a0"]
    for name in names:
        await world.push_blob(b"x", Repository(name))
    first = await world.session.manifests.repositories(after=None, limit=3)
    rest = await world.session.manifests.repositories(after=first.next, limit=100)
    assert [*first.items, *rest.items] == sorted(names)
    assert rest.next is None


async def test_referrers(world: World) -> None:
    subject = await world.push_image("v1")
    about = descriptor(image(), OCI_MANIFEST)
    signed = await world.push_image(
        None, [b"s1"], artifactType="a/sig", annotations={"k": "v"}, subject=about
    )
    by_config = await world.push_image(None, [b"s2"], subject=about)
    listing = await world.push_manifest(None, index([], subject=about))

    async def page(
        digest: Digest, kind: str | None = None, after: str | None = None, limit: int = 10
    ) -> list[Digest]:
        found = await world.session.manifests.referrers(
            DEMO, digest, artifact_type=kind, after=after, limit=limit
        )
        return [entry.digest for entry in found.items]

    assert await page(subject) == [signed, by_config, listing]
    assert await page(blake3(image())) == [signed, by_config, listing]
    assert await page(subject, "a/sig") == [signed]
    assert await page(subject, "application/vnd.oci.empty.v1+json") == [by_config]
    assert await page(subject, "none") == []
    assert await page(UNKNOWN) == []
    found = await world.session.manifests.referrers(DEMO, subject, artifact_type=None, after=None, limit=1)
    entry = found.items[0]
    assert (entry.artifact_type, entry.annotations, entry.media_type) == ("a/sig", {"k": "v"}, OCI_MANIFEST)
    assert await page(subject, after=found.next) == [by_config, listing]
    nowhere = await world.session.manifests.referrers(OTHER, subject, artifact_type=None, after=None, limit=1)
    assert nowhere.items == ()
    await world.session.manifests.delete(DEMO, signed)
    assert await page(subject) == [by_config, listing]
    await world.check()


async def test_a_page_of_referrers_ends_before_its_annotations_fill_the_memory(world: World) -> None:
    subject = sha256(image())
    of = descriptor(image(), OCI_MANIFEST)
    note = {"note": "x" * 3 * 2**20}
    pushed = [await world.push_image(None, [bytes([n])], subject=of, annotations=note) for n in range(3)]
    pushed.append(await world.push_image(None, [b"small"], subject=of))
    found: list[list[Digest]] = []
    after = None
    while not found or after is not None:
        page = await world.session.manifests.referrers(
            DEMO, subject, artifact_type=None, after=after, limit=100
        )
        found.append([entry.digest for entry in page.items])
        after = page.next
    assert found == [[pushed[0]], [pushed[1]], pushed[2:]]


@pytest.mark.parametrize("member", ["artifactType", "mediaType"])
async def test_types_are_bounded_since_every_list_repeats_them(world: World, member: str) -> None:
    document = json.loads(image([]))
    holder = document if member == "artifactType" else document["config"]
    holder[member] = f"application/{'x' * 300}"
    await world.push_blob(b"{}")
    async with refused(world, ErrorKind.MANIFEST_INVALID):
        await world.push_manifest("v1", json.dumps(document).encode())


async def test_a_lost_manifest_reads_as_absent_and_a_push_heals_it(world: World) -> None:
    digest = await world.push_image("v1")
    await world.push_manifest("about", image([], subject=descriptor(image(), OCI_MANIFEST)))
    await world.dataplane.remove(DEFAULT_DOMAIN, blake3(image()))
    world.store.core.manifest_cache.drop(DEFAULT_DOMAIN, blake3(image()))
    for _ in range(2):
        with pytest.raises(Exception, match="not known"):
            await world.session.manifests.get(DEMO, digest)
    assert (await world.kinds())[-1] == "content.missing"
    await world.push_manifest("v1", image())
    assert (await world.kinds())[-1] == "content.healed"
    assert (await world.session.manifests.get(DEMO, Tag("v1"))).data == image()
    await world.check()


async def test_a_lost_blob_is_no_child(world: World) -> None:
    await world.push_blob(b"{}")
    await world.push_blob(b"layer")
    await world.dataplane.remove(DEFAULT_DOMAIN, blake3(b"layer"))
    with pytest.raises(Exception, match="not known"):
        await world.session.blobs.get(DEMO, sha256(b"layer"))
    assert not await world.session.blobs.mount(OTHER, sha256(b"layer"), DEMO)
    async with refused(world, ErrorKind.MANIFEST_CHILD_UNKNOWN):
        await world.push_manifest("v1", image())
    await world.session.uploads.put(DEMO, sha256(b"layer"), once(b"layer"))
    await world.push_manifest("v1", image())
    await world.check()
