"""In words: what holds a digest, or when it goes."""

from __future__ import annotations

from registry.contract.digest import Digest
from registry.contract.names import Tag
from registry.control.explaining import explain
from tests.control.collection.world import LATER, A, World, digest_of, stream
from tests.documents import index, manifest


async def said(world: World, digest: Digest) -> str:
    return "\n".join((await explain(world.store.core, digest)).lines)


async def test_the_chain_from_a_layer_to_its_tags(world: World) -> None:
    await world.push_blob(b"layer")
    child = manifest(b"layer")
    await world.push(child)
    await world.push(index(child), "multi")
    world.clock.ahead += LATER
    found = await explain(world.store.core, digest_of(b"layer"))
    assert found.held is True
    text = "\n".join(found.lines)
    assert f"{A}: it is named by the manifest {digest_of(child)}, untagged" in text
    above = f"{digest_of(child)} is named by the manifest {digest_of(index(child))}, tagged multi"
    assert above in text
    assert "an untagged one, which stays until it is deleted" in await said(world, digest_of(child))
    assert "tagged multi" in await said(world, digest_of(index(child)))


async def test_leases_drafts_uploads_and_schemas(world: World) -> None:
    await world.push_blob(b"fresh")
    assert "it is leased until" in await said(world, digest_of(b"fresh"))
    await world.session.drafts.put_file(A, Tag("v1"), "a.txt", "text/plain", stream(b"drafted"), length=7)
    assert f"the draft {A}:v1 has it as a file" in await said(world, digest_of(b"drafted"))
    upload = await world.session.uploads.create(None)
    await world.session.uploads.append(None, upload.id, stream(b"native"))
    await world.session.uploads.complete(None, upload.id)
    assert f"the completed upload {upload.id}" in await said(world, digest_of(b"native"))
    schema, _ = await world.session.schemas.put("team.report.v1", {"type": "object"})
    assert "it is the schema of team.report.v1, version 1" in await said(world, schema.digest)


async def test_what_goes_and_what_is_gone(world: World) -> None:
    await world.push_blob(b"loose")
    world.clock.ahead += LATER
    found = await explain(world.store.core, digest_of(b"loose"))
    assert found.held is False
    assert any("no manifest of it names it" in line for line in found.lines)
    assert any("it goes with the next collection" in line for line in found.lines)
    await world.collect()
    found = await explain(world.store.core, digest_of(b"loose"))
    assert found.held is None
    assert "have been deleted" in found.lines[0]
    unknown = await explain(world.store.core, digest_of(b"never seen"))
    assert unknown.held is None
    assert unknown.lines == (f"the store has no content {digest_of(b'never seen')}",)
