"""Packages: put, read, promoted, drafted, searched, checked against schemas; content by address."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN, DataPlane, RestoreStatus, RetrievalTier
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import OCI_MANIFEST
from registry.contract.model import NewFile, NewPackage, PackageAccepted, Precondition, Search
from registry.contract.names import Repository, Tag
from registry.contract.package_oci import PACKAGE_CONFIG
from registry.control import Limits, reaper
from tests.control.tiers.saying import say_tier
from tests.control.world import (
    DAY,
    DEMO,
    HOUR,
    OTHER,
    World,
    blake3,
    descriptor,
    image,
    once,
    open_world,
    refused,
    sha256,
    whole,
)

V1, V2 = Tag("v1"), Tag("v2")
RUN = "guide-board.run.v1"
SCHEMA: JsonValue = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


async def leased(world: World, *contents: bytes) -> tuple[NewFile, ...]:
    """Content uploaded natively, as files of a package to be."""
    for data in contents:
        session = await world.session.uploads.create(None)
        await world.session.uploads.append(None, session.id, once(data))
        await world.session.uploads.complete(None, session.id, sha256(data))
    return tuple(NewFile(f"dir/f{number}", blake3(data)) for number, data in enumerate(contents))


async def put(
    world: World, version: Tag = V1, *contents: bytes, repository: Repository = DEMO, **more: Any
) -> PackageAccepted:
    files = await leased(world, *contents)
    return await world.session.packages.put(repository, version, NewPackage(files=files, **more))


async def test_a_package_is_an_image_and_reads_back(world: World) -> None:
    accepted = await put(world, V1, b"one", b"two", variant=RUN, metadata={"n": 1}, labels={"team": "a"})
    package = accepted.package
    assert accepted.created
    assert (package.variant, package.metadata, package.labels) == (RUN, {"n": 1}, {"team": "a"})
    assert [file.relative_path for file in package.files] == ["dir/f0", "dir/f1"]
    assert package.versions == (V1,)
    for reference in (V1, package.manifest_digest):
        reading = await world.session.packages.file(DEMO, reference, "dir/f1")
        assert await whole(reading.stream()) == b"two"
    stored = await world.session.manifests.get(DEMO, V1)
    assert json.loads(stored.data)["config"]["mediaType"] == PACKAGE_CONFIG
    canonical = await world.session.packages.canonical(DEMO, V1)
    assert blake3(await whole(canonical.stream())) == package.package_digest
    await world.check()


async def test_the_same_again_changes_nothing_and_another_body_is_a_conflict(world: World) -> None:
    await put(world, V1, b"one")
    head = await world.head()
    again = await world.session.packages.put(DEMO, V1, NewPackage(files=(NewFile("dir/f0", blake3(b"one")),)))
    assert not again.created
    assert await world.head() == head
    async with refused(world, ErrorKind.CONFLICT) as seen:
        await world.session.packages.put(DEMO, V1, NewPackage(labels={"x": "y"}))
    assert seen.error is not None
    assert seen.error.detail["manifest_digest"] == str(again.package.manifest_digest)
    condition = Precondition(if_absent=True)
    async with refused(world, ErrorKind.PRECONDITION_FAILED):
        await world.session.packages.put(DEMO, V1, NewPackage(labels={"x": "y"}), condition)


async def test_the_same_bytes_are_the_same_version_by_whichever_digest_they_were_tagged(world: World) -> None:
    await put(world, V1, labels={"k": "v"})
    data = (await world.session.manifests.get(DEMO, V1)).data
    by_sha512 = Digest.of(data, Algorithm.SHA512)
    await world.session.manifests.put(DEMO, by_sha512, OCI_MANIFEST, data, tags=[V2])
    assert not (await put(world, V2, labels={"k": "v"})).created


async def test_a_subject_is_the_same_by_each_of_its_digests(world: World) -> None:
    subject = await world.push_image("subject")
    first = (await put(world, V1, subject=subject)).package
    again = await put(world, V1, subject=blake3(image()))
    assert not again.created
    assert first.subject is not None
    assert first.subject.digest == subject


async def test_content_that_nobody_may_name(world: World) -> None:
    """Absent, another's lease, an expired lease and lost bytes are refused alike."""
    await leased(world, b"mine")
    world_of = {"alice": world.session.packages, "bob": world.bob.packages}
    for who, data in (("alice", b"absent"), ("bob", b"mine")):
        files = (NewFile("f", blake3(data)),)
        async with refused(world, ErrorKind.VALIDATION_FAILED) as seen:
            await world_of[who].put(DEMO, V1, NewPackage(files=files))
        assert seen.error is not None
        assert [error.path for error in seen.error.errors] == ["/files/0/content_address"]
    world.clock.advance(DAY + HOUR)
    async with refused(world, ErrorKind.VALIDATION_FAILED):
        await world_of["alice"].put(DEMO, V1, NewPackage(files=(NewFile("f", blake3(b"mine")),)))
    await world.push_blob(b"mine", OTHER)
    await world_of["bob"].put(DEMO, V1, NewPackage(files=(NewFile("f", blake3(b"mine")),)))
    await world.check()


async def test_refusals_of_put_and_get(world: World) -> None:
    packages = world.session.packages
    for kind, package in (
        (ErrorKind.VALIDATION_FAILED, NewPackage(files=(NewFile("../up", blake3(b"x")),))),
        (ErrorKind.VALIDATION_FAILED, NewPackage(labels={"dev.artifact-store.x": "y"})),
        (ErrorKind.VALIDATION_FAILED, NewPackage(variant="No Variant")),
        (ErrorKind.VALIDATION_FAILED, NewPackage(subject=sha256(b"nowhere"))),
    ):
        async with refused(world, kind):
            await packages.put(DEMO, V1, package)
    await world.push_image("foreign")
    for kind, work in (
        (ErrorKind.PACKAGE_UNKNOWN, lambda: packages.get(DEMO, V1)),
        (ErrorKind.PACKAGE_UNKNOWN, lambda: packages.canonical(DEMO, Tag("foreign"))),
        (ErrorKind.FILE_UNKNOWN, lambda: packages.file(DEMO, Tag("foreign"), "none")),
        (ErrorKind.PACKAGE_UNKNOWN, lambda: packages.delete(DEMO, V1)),
        (ErrorKind.REPOSITORY_UNKNOWN, lambda: packages.versions(OTHER, after=None, limit=1)),
    ):
        async with refused(world, kind):
            await work()


async def test_a_package_too_large_for_clients_is_refused_before_it_is_stored(
    database: str | Path, dataplane: DataPlane
) -> None:
    async with open_world(database, dataplane, limits=Limits(package_manifest_bytes=100)) as world:
        files = await leased(world, b"x")
        held = [entry async for entry in dataplane.contents()]
        async with refused(world, ErrorKind.PACKAGE_TOO_LARGE):
            await world.session.packages.put(DEMO, V1, NewPackage(files=files))
        assert [entry async for entry in dataplane.contents()] == held


async def test_a_foreign_image_reads_as_a_package(world: World) -> None:
    titled = descriptor(b"one") | {"annotations": {"org.opencontainers.image.title": "named"}}
    await world.push_blob(b"{}")
    await world.push_blob(b"one")
    await world.push_blob(b"two")
    document = json.loads(image(annotations={"a": "b"})) | {"layers": [titled, descriptor(b"two")]}
    await world.push_manifest("v1", json.dumps(document).encode())
    package = await world.session.packages.get(DEMO, V1)
    assert (package.package_digest, package.variant, package.metadata) == (None, None, None)
    untitled = f"_layers/001-{sha256(b'two').hex[:12]}"
    assert [file.relative_path for file in package.files] == ["named", untitled]
    assert package.labels == {"a": "b"}


async def test_deleting_a_version_takes_what_nothing_else_reaches(world: World) -> None:
    accepted = await put(world, V1, b"one")
    digest = accepted.package.manifest_digest
    await world.session.packages.promote(DEMO, V2, DEMO, digest)
    await world.session.packages.delete(DEMO, V1)
    assert (await world.session.packages.get(DEMO, V2)).manifest_digest == digest
    await world.session.packages.delete(DEMO, V2)
    async with refused(world, ErrorKind.PACKAGE_UNKNOWN):
        await world.session.packages.get(DEMO, digest)
    await world.check()


# --- promotion -------------------------------------------------------------------------------------------


async def test_promotion_takes_everything_below_along(world: World) -> None:
    accepted = await put(world, V1, b"one", variant=RUN, labels={"team": "a"})
    digest = accepted.package.manifest_digest
    promote = world.session.packages.promote
    promoted = await promote(OTHER, Tag("prod"), DEMO, digest)
    assert promoted.created
    assert promoted.package.package_digest == accepted.package.package_digest
    assert not (await promote(OTHER, Tag("prod"), DEMO, digest)).created
    reading = await world.session.packages.file(OTHER, Tag("prod"), "dir/f0")
    assert await whole(reading.stream()) == b"one"
    await world.push_image("other")
    async with refused(world, ErrorKind.CONFLICT):
        await promote(OTHER, Tag("prod"), DEMO, sha256(image()))
    async with refused(world, ErrorKind.PACKAGE_UNKNOWN):
        await promote(OTHER, Tag("x"), DEMO, sha256(b"none"))
    async with refused(world, ErrorKind.PRECONDITION_FAILED):
        await promote(OTHER, Tag("prod"), DEMO, digest, Precondition(if_absent=True))
    await world.session.packages.delete(DEMO, V1)
    assert (await world.session.packages.get(OTHER, Tag("prod"))).labels == {"team": "a"}
    await world.check()


async def test_what_is_missing_is_not_promoted_out_of_a_cache(world: World) -> None:
    digest = await world.push_image("v1")
    core = world.store.core
    await world.dataplane.remove(DEFAULT_DOMAIN, blake3(image()))
    core.manifest_cache.drop(DEFAULT_DOMAIN, blake3(image()))
    with pytest.raises(Exception, match="not known"):
        await world.session.manifests.get(DEMO, V1)
    core.manifest_cache.add(DEFAULT_DOMAIN, blake3(image()), image())  # as another process may have it
    async with refused(world, ErrorKind.PACKAGE_UNKNOWN):
        await world.session.packages.promote(OTHER, V1, DEMO, digest)


async def test_an_index_is_promoted_with_its_children(world: World) -> None:
    from tests.control.world import index

    await world.push_image("child", [b"one"])
    inner = index([image([b"one"])])
    await world.push_manifest("inner", inner)
    outer = await world.push_manifest("outer", index([inner, image([b"one"])]))
    await world.session.packages.promote(OTHER, V1, DEMO, outer)
    for data in (image([b"one"]), inner):
        assert (await world.session.manifests.get(OTHER, sha256(data))).data == data
    assert (await world.session.manifests.tags(OTHER, after=None, limit=10)).items == (V1,)
    await world.check()


# --- drafts ----------------------------------------------------------------------------------------------


async def draft(world: World, path: str, data: bytes, version: Tag = V1) -> None:
    await world.session.drafts.put_file(DEMO, version, path, "text/plain", once(data), length=len(data))


async def test_a_draft_grows_is_invisible_and_becomes_a_version(world: World) -> None:
    drafts = world.session.drafts
    await draft(world, "b", b"first")
    await draft(world, "a", b"other")
    await draft(world, "b", b"second")
    async with refused(world, ErrorKind.PACKAGE_UNKNOWN):
        await world.session.packages.get(DEMO, V1)
    assert (await world.session.manifests.repositories(after=None, limit=1)).items == ()
    standing = await drafts.get(DEMO, V1)
    assert [(file.relative_path, file.size) for file in standing.files] == [("a", 5), ("b", 6)]
    extra = await leased(world, b"extra")
    package = (await drafts.finalize(DEMO, V1, NewPackage(labels={"k": "v"}, files=extra))).package
    assert [file.relative_path for file in package.files] == ["a", "b", "dir/f0"]
    async with refused(world, ErrorKind.DRAFT_UNKNOWN):
        await drafts.get(DEMO, V1)
    async with refused(world, ErrorKind.CONFLICT):
        await draft(world, "late", b"late")
    await world.check()


async def test_a_draft_is_its_openers_and_expires(world: World) -> None:
    await draft(world, "a", b"mine")
    async with refused(world, ErrorKind.CONFLICT):
        await world.bob.drafts.put_file(DEMO, V1, "b", "text/plain", once(b"x"), length=1)
    for work in (
        lambda: world.bob.drafts.get(DEMO, V1),
        lambda: world.bob.drafts.delete(DEMO, V1),
        lambda: world.bob.drafts.finalize(DEMO, V1, NewPackage()),
        lambda: world.session.drafts.get(DEMO, V2),
    ):
        async with refused(world, ErrorKind.DRAFT_UNKNOWN):
            await work()
    world.clock.advance(DAY + HOUR)
    async with refused(world, ErrorKind.DRAFT_UNKNOWN):
        await world.session.drafts.get(DEMO, V1)
    await world.bob.drafts.put_file(DEMO, V1, "b", "text/plain", once(b"x"), length=1)
    assert [file.relative_path for file in (await world.bob.drafts.get(DEMO, V1)).files] == ["b"]
    await world.bob.drafts.delete(DEMO, V1)
    await draft(world, "a", b"mine again")


async def test_refusals_of_drafts(database: str | Path, dataplane: DataPlane) -> None:
    async with open_world(database, dataplane, limits=Limits(package_files=1)) as world:
        put_file = world.session.drafts.put_file
        async with refused(world, ErrorKind.VALIDATION_FAILED):
            await put_file(DEMO, V1, "/abs", "text/plain", once(b"x"))
        async with refused(world, ErrorKind.MANIFEST_INVALID):
            await put_file(DEMO, V1, "a", "no type", once(b"x"))
        async with refused(world, ErrorKind.BAD_REQUEST):
            await put_file(DEMO, V1, "a", "text/plain", once(b"x"), length=2)
        await draft(world, "a", b"x")
        with pytest.raises(Exception, match="may have 1 files"):
            await draft(world, "b", b"y")
        assert [file.relative_path for file in (await world.session.drafts.get(DEMO, V1)).files] == ["a"]


async def test_a_draft_holds_its_files_for_as_long_as_it_is_worked_on(world: World) -> None:
    """The draft lives on with each file; the lease of each upload alone would be over after a day."""
    await draft(world, "first", b"first")
    for day in range(3):
        world.clock.advance(20 * HOUR)
        token = await reaper.acquire(world.store.core, "holder")
        assert token is not None
        await reaper.reap(world.store.core, token)
        await draft(world, f"day{day}", f"day {day}".encode())
    async with refused(world, ErrorKind.VALIDATION_FAILED):  # for nobody else
        await world.bob.packages.put(DEMO, V2, NewPackage(files=(NewFile("f", blake3(b"first")),)))
    package = (await world.session.drafts.finalize(DEMO, V1, NewPackage())).package
    assert [file.relative_path for file in package.files] == ["day0", "day1", "day2", "first"]
    await world.check()


# --- schemas ---------------------------------------------------------------------------------------------


async def test_schemas_are_versioned_and_checked_at_ingest(world: World) -> None:
    schemas = world.session.schemas
    first, created = await schemas.put(RUN, SCHEMA)
    assert (first.version, created) == (1, True)
    assert (await schemas.put(RUN, SCHEMA))[1] is False
    async with refused(world, ErrorKind.VALIDATION_FAILED) as seen:
        await world.session.packages.put(DEMO, V1, NewPackage(RUN, {"n": "text"}))
    assert seen.error is not None
    assert [error.path for error in seen.error.errors] == ["/metadata/n"]
    accepted = await world.session.packages.put(DEMO, V1, NewPackage(RUN, {"n": 1}))
    assert accepted.package.schema_version == 1
    await schemas.put(RUN, {"type": "object"})
    assert (await schemas.get(RUN)).version == 2
    assert (await schemas.get(RUN, 1)).document == SCHEMA
    assert (await world.session.packages.get(DEMO, V1)).schema_version == 1
    await schemas.delete(RUN)
    async with refused(world, ErrorKind.SCHEMA_UNKNOWN):
        await schemas.get(RUN)
    async with refused(world, ErrorKind.SCHEMA_UNKNOWN):
        await schemas.delete(RUN)
    assert (await schemas.get(RUN, 2)).version == 2
    assert (await schemas.put(RUN, SCHEMA))[0].version == 3
    await schemas.put("a.first.v1", True)
    listed = await schemas.list(after=None, limit=1)
    assert [schema.variant for schema in listed.items] == ["a.first.v1"]
    assert [s.version for s in (await schemas.list(after=listed.next, limit=9)).items] == [3]
    await world.check()


@pytest.mark.parametrize(
    "document",
    [
        "text",
        {"type": 1},
        {"$ref": "https://example.org/x"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
    ],
)
async def test_what_is_no_acceptable_schema(world: World, document: Any) -> None:
    async with refused(world, ErrorKind.VALIDATION_FAILED):
        await world.session.schemas.put(RUN, document)


async def test_the_oci_road_is_no_way_round_a_schema(world: World) -> None:
    await world.session.schemas.put(RUN, SCHEMA)
    for config, kind in ((b'{"n":"x"}', ErrorKind.MANIFEST_INVALID), (b'{"n":1}', None)):
        await world.push_blob(config)
        document = json.loads(image([])) | {
            "artifactType": f"application/vnd.{RUN}",
            "config": descriptor(config, "application/json"),
        }
        data = json.dumps(document).encode()
        if kind is None:
            await world.push_manifest("v1", data)
            assert (await world.session.packages.get(DEMO, V1)).schema_version == 1
            continue
        async with refused(world, kind):
            await world.push_manifest("v1", data)
    await world.check()


async def test_a_package_pushed_as_an_image_must_say_what_its_config_says(world: World) -> None:
    accepted = await put(world, V1, b"one")
    stored = await world.session.manifests.get(DEMO, V1)
    await world.session.manifests.put(DEMO, V2, OCI_MANIFEST, stored.data)
    assert (await world.session.packages.get(DEMO, V2)).package_digest == accepted.package.package_digest
    forged = json.dumps(json.loads(stored.data) | {"annotations": {"team": "b"}}).encode()
    async with refused(world, ErrorKind.MANIFEST_INVALID):
        await world.session.manifests.put(DEMO, Tag("forged"), OCI_MANIFEST, forged)


# --- lists and search ------------------------------------------------------------------------------------


async def names(world: World, query: Search, limit: int = 100) -> list[str | None]:
    """The versions found, over all pages."""
    found: list[str | None] = []
    after: str | None = None
    while True:
        page = await world.session.packages.search(query, after=after, limit=limit)
        found.extend(item.version for item in page.items)
        after = page.next
        if after is None:
            return found


async def test_search(world: World) -> None:
    deep = {"ok": True, "list": ["a", 2]}
    await put(world, V1, variant=RUN, metadata={"n": 1, "deep": deep}, labels={"t": "a"})
    middle = world.clock.time
    await put(world, V2, variant=RUN, metadata={"n": "1"}, labels={"t": "b"})
    await put(world, Tag("v3"), metadata={"n": 1.5, "none": None}, labels={"t": "a"}, repository=OTHER)

    async def by(**more: Any) -> list[str | None]:
        pages = {limit: await names(world, Search(**more), limit) for limit in (1, 2, 100)}
        assert pages[1] == pages[2] == pages[100]
        return pages[1]

    assert await by() == ["v3", "v2", "v1"]
    assert await by(variant=RUN) == ["v2", "v1"]
    assert await by(repository=OTHER) == ["v3"]
    assert await by(repository=Repository("no/where")) == []
    assert await by(fields=(("metadata.n", "1"),)) == ["v2", "v1"]
    assert await by(fields=(("metadata.n", "1.5"),)) == ["v3"]
    assert await by(fields=(("metadata.deep.ok", "true"),)) == ["v1"]
    assert await by(fields=(("metadata.deep.list", "a"), ("metadata.deep.list", "2"))) == ["v1"]
    assert await by(fields=(("metadata.none", "null"),)) == ["v3"]
    assert await by(fields=(("label.t", "a"),)) == ["v3", "v1"]
    assert await by(fields=(("label.t", "a"),), repository=DEMO) == ["v1"]
    assert await by(fields=(("label.t", "a"),), variant=RUN) == ["v1"]
    assert await by(created_after=middle) == ["v3", "v2"]
    assert await by(created_after=middle, fields=(("label.t", "a"),)) == ["v3"]
    assert await by(created_after=world.clock.time + DAY) == []
    assert await by(created_after=0) == ["v3", "v2", "v1"]
    assert await names(world, Search(), limit=0) == []
    garbage = await world.session.packages.search(Search(), after="no key", limit=1)
    assert [item.version for item in garbage.items] == ["v3"]


async def test_lists_of_packages_page_by_key(world: World) -> None:
    expected = []
    for repository in (Repository("a"), Repository("a-b"), Repository("a/b")):
        for version in (Tag("v1"), Tag("v10"), Tag("v2")):
            await put(world, version, labels={"v": version}, repository=repository)
            expected.append((repository, version))
    found: list[tuple[Repository, Tag | None]] = []
    after: str | None = None
    while True:
        page = await world.session.packages.list(after=after, limit=2)
        found.extend((item.repository, item.version) for item in page.items)
        after = page.next
        if after is None:
            break
    assert found == sorted(expected)
    one = await world.session.packages.versions(Repository("a-b"), after="v1", limit=1)
    assert [item.version for item in one.items] == ["v10"]
    assert one.next == "v10"


# --- content by address, tiers and usage -----------------------------------------------------------------


async def test_cold_content_says_so_until_it_is_restored(world: World) -> None:
    await world.push_image("v1")
    address = blake3(b"layer")
    core, contents = world.store.core, world.session.contents
    await say_tier(core, DEFAULT_DOMAIN, address, RetrievalTier.ARCHIVE)
    for digest in (address, sha256(b"layer")):
        places = await contents.locations(digest)
        assert [(place.name, place.tier) for place in places] == [("local", RetrievalTier.ARCHIVE)]
        reading = await contents.get(digest)
        assert reading.size == 5
        async with refused(world, ErrorKind.RESTORE_REQUIRED):
            await whole(reading.stream())
        async with refused(world, ErrorKind.RESTORE_REQUIRED):
            await reading.open_file()
    await world.push_manifest("still-a-child", image(annotations={"cold": "layer"}))
    assert await contents.restore(address) is RestoreStatus.AVAILABLE
    assert await whole((await contents.get(address)).stream()) == b"layer"
    assert (await contents.locations(address))[0].tier is RetrievalTier.HOT
    await say_tier(core, DEFAULT_DOMAIN, blake3(image()), RetrievalTier.COLD)
    async with refused(world, ErrorKind.RESTORE_REQUIRED):
        await world.session.manifests.get(DEMO, V1)
    async with refused(world, ErrorKind.RESTORE_REQUIRED):
        await world.session.packages.get(DEMO, V1)
    for work in (contents.get, contents.locations, contents.restore):
        async with refused(world, ErrorKind.CONTENT_UNKNOWN):
            await work(blake3(b"nowhere"))
    await world.check()


async def test_usage_counts_each_content_once(world: World) -> None:
    async def usage() -> tuple[tuple[int, int, int], dict[str, tuple[int, int, int]]]:
        found = await world.session.usage(after=None, limit=10)
        by_name = {
            str(entry.repository): (entry.logical, entry.exclusive, entry.objects)
            for entry in found.repositories.items
        }
        return (found.logical, found.physical, found.objects), by_name

    await world.push_blob(b"12345")
    await world.push_blob(b"12345", OTHER)
    await world.push_blob(b"123")
    assert await usage() == ((13, 8, 2), {DEMO: (8, 3, 2), OTHER: (5, 0, 1)})
    third = Repository("third")
    await world.session.blobs.mount(third, sha256(b"12345"), DEMO)
    await world.session.blobs.delete(DEMO, sha256(b"12345"))
    assert await usage() == ((13, 8, 2), {DEMO: (3, 3, 1), OTHER: (5, 0, 1), third: (5, 0, 1)})
    await world.session.blobs.delete(OTHER, sha256(b"12345"))
    assert (await usage())[1] == {DEMO: (3, 3, 1), OTHER: (0, 0, 0), third: (5, 5, 1)}
    page = await world.session.usage(after=DEMO, limit=1)
    assert [entry.repository for entry in page.repositories.items] == [OTHER]
    assert page.repositories.next == OTHER
    await world.check()


# --- the ledger ------------------------------------------------------------------------------------------


async def test_the_ledger_is_paged_and_followed(world: World) -> None:
    await world.push_image("v1")
    head = await world.head()
    page = await world.session.ledger.page(after=0, limit=3)
    assert [event.seq for event in page.items] == [1, 2, 3]
    assert page.next == "3"
    last = await world.session.ledger.page(after=head - 1, limit=3)
    assert ([event.seq for event in last.items], last.next) == ([head], None)
    assert (await world.session.ledger.page(after=head, limit=3)).items == ()
    tagged = last.items[0]
    assert (tagged.kind, tagged.scope, tagged.subject) == ("tag.set", DEMO, "v1")
    assert Digest.parse(str(tagged.data["blake3"])) == blake3(image())

    seen: list[int] = []

    async def follow() -> None:
        async for event in world.session.ledger.follow(after=head - 2):
            seen.append(event.seq)
            if event.kind == "tag.deleted":
                return

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.05)
    await world.push_blob(b"more")
    await world.session.manifests.delete(DEMO, V1)
    await asyncio.wait_for(follower, 5)
    assert seen == list(range(head - 1, await world.head() + 1))
