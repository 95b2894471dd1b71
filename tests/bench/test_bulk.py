"""A store filled in bulk is a store like any other, and has what its shape says."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.contract.digest import Digest
from registry.contract.names import Tag
from registry.control import open_store
from registry.control.collection_plan import plan
from registry.control.fsck import fsck
from registry.dataplane import open_local
from tests.bench.bulk import REPOSITORY, fill, manifest_digest
from tests.bench.shape import Shape, digest_of

SHAPE = Shape(blobs=50, manifests=8, tags=20, referrers=3, garbage=20, size=100)


async def test_it_is_sound_and_has_the_shape(tmp_path: Path) -> None:
    await fill(tmp_path, SHAPE)
    dataplane = open_local(tmp_path)
    store = await open_store(dataplane, tmp_path / "ledger.sqlite")
    try:
        checked = await fsck(store.core)
        assert (checked.faults, checked.unnamed) == ([], 0)
        assert checked.contents == SHAPE.contents() == 50 + 8 + 3 + 1
        session = store.for_principal(await store.principal("reader"))
        tags = await session.manifests.tags(REPOSITORY, after=None, limit=100)
        assert len(tags.items) == 20
        of_tag = await session.manifests.get(REPOSITORY, Tag("v0000009"))
        assert of_tag.data == SHAPE.manifest(1)
        first = Digest.parse(manifest_digest(SHAPE, 0))
        referrers = await session.manifests.referrers(
            REPOSITORY, first, artifact_type=None, after=None, limit=100
        )
        assert len(referrers.items) == 3
        assert (await plan(store.core)).removed == 10
    finally:
        await store.close()
        await dataplane.close()


async def test_a_store_is_not_filled_twice(tmp_path: Path) -> None:
    await fill(tmp_path, Shape(blobs=1))
    with pytest.raises(ValueError, match="holds a store already"):
        await fill(tmp_path, Shape(blobs=1))


@pytest.mark.parametrize(
    "numbers",
    [{"manifests": 1, "garbage": 100}, {"tags": 1}, {"referrers": 1}, {"garbage": 101}],
    ids="-".join,
)
def test_what_cannot_be_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"need|percentage"):
        Shape(blobs=10, **numbers)


def test_every_named_blob_is_a_layer_of_some_manifest() -> None:
    documents = b"".join(SHAPE.manifest(number) for number in range(SHAPE.manifests))
    for number in range(SHAPE.blobs):
        assert (digest_of(SHAPE.blob(number)).encode() in documents) is (number < SHAPE.named)
