"""Use cases that meet: each pair ends as if one had come after the other."""

from __future__ import annotations

import asyncio

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.model import NewPackage
from registry.contract.names import Tag
from tests.control.world import DEMO, World, image, once, sha256


async def test_blob_deletion_against_a_manifest_that_names_it(world: World) -> None:
    """Either the manifest is refused or the deletion is; a manifest never stands without its layer."""
    for number in range(20):
        layer = f"layer {number}".encode()
        await world.push_blob(b"{}")
        digest = await world.push_blob(layer)
        document = image([layer])
        work = [
            world.session.blobs.delete(DEMO, digest),
            world.push_manifest(f"t{number}", document),
        ]
        if number % 2:
            work.reverse()
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(refusals) == 1
        assert isinstance(refusals[0], StoreError)
        assert refusals[0].kind in {ErrorKind.IN_USE, ErrorKind.MANIFEST_CHILD_UNKNOWN}
    await world.check()


async def test_a_child_that_goes_between_the_check_and_the_transaction_is_noticed(world: World) -> None:
    digest = await world.push_blob(b"layer")
    await world.push_blob(b"{}")
    put = world.store.core.dataplane.put

    async def delete_then_put(*args: object, **more: object) -> object:
        await world.session.blobs.delete(DEMO, digest)
        return await put(*args, **more)  # type: ignore[arg-type]

    world.store.core.dataplane.put = delete_then_put  # type: ignore[method-assign,assignment]
    try:
        await world.push_manifest("v1", image([b"layer"]))
    except StoreError as error:
        assert error.kind is ErrorKind.MANIFEST_CHILD_UNKNOWN
    else:
        raise AssertionError("a manifest stands without its layer")
    finally:
        world.store.core.dataplane.put = put  # type: ignore[method-assign]


async def test_two_bodies_under_one_version(world: World) -> None:
    bodies = [NewPackage(labels={"body": str(number)}) for number in range(6)]
    outcomes = await asyncio.gather(
        *(world.session.packages.put(DEMO, Tag("v1"), body) for body in bodies), return_exceptions=True
    )
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(errors) == 5
    assert {error.kind for error in errors if isinstance(error, StoreError)} == {ErrorKind.CONFLICT}
    await world.check()


async def test_one_body_twice_under_one_version(world: World) -> None:
    body = NewPackage(labels={"body": "same"})
    outcomes = await asyncio.gather(*(world.session.packages.put(DEMO, Tag("v1"), body) for _ in range(5)))
    assert sorted(outcome.created for outcome in outcomes) == [False] * 4 + [True]
    assert len({outcome.package.manifest_digest for outcome in outcomes}) == 1


async def test_two_completions_of_one_native_upload(world: World) -> None:
    """Both get the same content, or one is told that the other is at it."""
    for number in range(10):
        data = f"upload {number}".encode()
        uploads = world.session.uploads
        session = await uploads.create(None, size=len(data) if number % 2 else None)
        await uploads.append(None, session.id, once(data), offset=0)
        outcomes = await asyncio.gather(
            *(uploads.complete(None, session.id, sha256(data)) for _ in range(4)), return_exceptions=True
        )
        contents = {outcome for outcome in outcomes if not isinstance(outcome, BaseException)}
        kinds = {outcome.kind for outcome in outcomes if isinstance(outcome, StoreError)}
        assert len(contents) == 1
        assert kinds <= {ErrorKind.UPLOAD_BUSY}
        assert await uploads.complete(None, session.id, sha256(data)) in contents


async def test_completions_without_a_digest_make_no_empty_content(world: World) -> None:
    """Who comes second finds the stage gone, and an empty one is not what was uploaded."""
    uploads = world.session.uploads
    for number in range(5):
        data = f"upload {number}".encode()
        session = await uploads.create(None)
        await uploads.append(None, session.id, once(data), offset=0)
        outcomes = await asyncio.gather(
            *(uploads.complete(None, session.id) for _ in range(3)), return_exceptions=True
        )
        contents = {outcome for outcome in outcomes if not isinstance(outcome, BaseException)}
        assert {content.size for content in contents} == {len(data)}
    assert await world.kinds() == ["content.stored"] * 5


async def test_a_file_acknowledged_while_a_draft_is_finalised_is_in_the_package(world: World) -> None:
    """Or finalising is refused, as the draft has changed, and can be tried again; no file vanishes."""
    drafts, version = world.session.drafts, Tag("v1")

    async def put(name: str) -> str | None:
        try:
            await drafts.put_file(DEMO, version, name, "text/plain", once(name.encode()), length=len(name))
        except StoreError as error:
            assert error.kind is ErrorKind.CONFLICT
            return None
        return name

    async def keep_putting() -> list[str | None]:
        return [await put(f"late{number}") for number in range(10)]

    async def finalize() -> list[str]:
        while True:
            try:
                accepted = await drafts.finalize(DEMO, version, NewPackage())
            except StoreError as error:
                assert error.kind is ErrorKind.CONFLICT
                await asyncio.sleep(0.01)
            else:
                return [file.relative_path for file in accepted.package.files]

    assert await put("first") == "first"
    found, late = await asyncio.gather(finalize(), keep_putting())
    assert found == ["first", *(name for name in late if name is not None)]


async def test_the_same_blob_from_many_at_once(world: World) -> None:
    await asyncio.gather(*(world.push_blob(b"same") for _ in range(20)))
    assert await world.kinds() == ["repository.created", "content.stored", "blob.linked"]
