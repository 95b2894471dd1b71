"""A store with one of everything that can be in one, and what it answers."""

from __future__ import annotations

from typing import Any

from registry.contract.dataplane import Packing
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import StoreError
from registry.contract.model import NewFile, NewPackage, Search
from registry.contract.names import Repository, Tag
from registry.control import collection
from registry.control.core import SYSTEM
from registry.control.sql import followers
from registry.control.sql.transaction import Transaction
from registry.control.store import PrincipalSession
from registry.control.work import hold
from tests.control.world import DAY, DEMO, OTHER, World, blake3, image, index, once, sha256, whole

V1, V2, LATEST = Tag("v1"), Tag("v2"), Tag("latest")
RUN = "guide-board.run.v1"
BIG = bytes(range(256)) * 12_000
LAYERS = (b"layer one", BIG, b"layer three" * 9000)
GONE = b"deleted, and collected" * 5000


async def tell(world: World) -> None:
    """Let it all happen."""
    await world.push_image("v1", LAYERS, annotations={"team": "a"})
    await _removed(world)
    first, second = image((b"layer one",), annotations={"n": "1"}), image((BIG,), annotations={"n": "2"})
    for child in (first, second):
        await world.push_manifest(None, child)
    subject = await world.push_manifest("all", index((first, second)))
    await world.push_image("about", (b"sig",), subject=_subject(subject), artifactType="a/b")
    await world.push_blob(b"named by sha512", algorithm=Algorithm.SHA512)
    await world.session.blobs.mount(OTHER, sha256(BIG), DEMO)
    await world.session.schemas.put(RUN, {"type": "object", "required": ["n"]})
    files = (NewFile("a/big", sha256(BIG)), NewFile("b", sha256(b"layer one")))
    package = NewPackage(variant=RUN, metadata={"n": 1}, labels={"team": "x"}, files=files)
    await world.session.packages.put(DEMO, V2, package)
    async for _ in world.dataplane.pack(Packing()):
        pass
    await world.push_image("v1", (b"moved on",))
    await _under_way(world)


async def _removed(world: World) -> None:
    """An image that was deleted, and whose bytes a collection took."""
    digest = await world.push_image("gone", (GONE,), OTHER)
    await world.session.manifests.delete(OTHER, digest)
    world.clock.advance(3 * DAY)
    async with hold(world.store.core, collection.WORK) as work:
        await collection.collect(work)
        world.clock.advance(DAY)
        await collection.collect(work)


async def _under_way(world: World) -> None:
    """A draft, an open session, a complete one, a follower with a dead letter, principals."""
    await world.session.drafts.put_file(DEMO, Tag("draft"), "f", "text/plain", once(b"in a draft"))
    upload = await world.session.uploads.create(DEMO)
    await world.session.uploads.append(DEMO, upload.id, once(b"half"))
    native = await world.session.uploads.create(None)
    await world.session.uploads.append(None, native.id, once(b"held for a day"))
    await world.session.uploads.complete(None, native.id)
    await world.store.principal("anonymous")

    def follow(tx: Transaction) -> None:
        followers.enrol(tx.connection, "shelf", 7)
        followers.bury(tx.connection, "shelf", 3, 16, "it answered 500", tx.now)

    await world.store.core.database.write(SYSTEM, follow)


async def answers(session: PrincipalSession) -> dict[str, Any]:
    """What a reader gets, by both faces' use cases."""
    found: dict[str, Any] = {}
    for repository in (await session.manifests.repositories(after=None, limit=99)).items:
        for tag in (await session.manifests.tags(repository, after=None, limit=99)).items:
            stored = await session.manifests.get(repository, tag)
            found[f"{repository}:{tag}"] = (str(stored.digest), stored.media_type, stored.data)
        for data in (*LAYERS, b"moved on", b"sig", GONE):
            found[f"{repository} {sha256(data)}"] = await _bytes(session, repository, sha256(data))
    by_sha512 = Digest.of(b"named by sha512", Algorithm.SHA512)
    found["sha512"] = await _bytes(session, DEMO, by_sha512)
    subject = (await session.manifests.get(DEMO, Tag("all"))).digest
    referrers = await session.manifests.referrers(DEMO, subject, artifact_type="a/b", after=None, limit=9)
    found["referrers"] = [str(one.digest) for one in referrers.items]
    found["search"] = await session.packages.search(
        Search(fields=(("label.team", "x"),)), after=None, limit=9
    )
    found["package"] = await session.packages.get(DEMO, V2)
    found["file"] = await whole((await session.packages.file(DEMO, V2, "a/big")).stream())
    found["draft"] = await session.drafts.get(DEMO, Tag("draft"))
    found["schema"] = (await session.schemas.get(RUN)).document
    found["leased"] = await whole((await session.contents.get(blake3(b"held for a day"))).stream())
    found["events"] = await session.ledger.page(after=0, limit=10_000)
    found["usage"] = await session.usage(after=None, limit=99)
    return found


async def _bytes(session: PrincipalSession, repository: Repository, digest: Digest) -> bytes | str:
    try:
        return await whole((await session.blobs.get(repository, digest)).stream())
    except StoreError as error:
        return error.kind.value


def _subject(digest: Digest) -> dict[str, Any]:
    return {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": str(digest), "size": 1}
