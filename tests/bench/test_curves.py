"""Cost curves: the store grows by what its size says, and each row is measured once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from registry.contract.digest import Digest
from registry.contract.model import Search
from registry.control import Store, open_store
from registry.control.fsck import fsck
from registry.dataplane import open_memory
from tests.bench import curves
from tests.bench.growth import Growth, grow
from tests.bench.operations import OPERATIONS
from tests.bench.rows import multiply
from tests.bench.shape import digest_of
from tests.replicas.postgres import Postgres, embedded


def _quiet(_what: str, _count: int) -> None:
    """No progress is told."""


async def _grown(store: Store, growth: Growth, *sizes: int) -> None:
    held = 0
    for size in sizes:
        await grow(store, growth, held, size, _quiet)
        held = size


async def test_a_store_grown_in_steps_is_sound_and_has_what_one_grown_at_once_has(tmp_path: Path) -> None:
    growth = Growth(repositories=3)
    found = []
    for steps in ((25,), (10, 10, 25)):
        dataplane = open_memory()
        store = await open_store(dataplane, tmp_path / f"{len(steps)}.sqlite")
        try:
            await _grown(store, growth, *steps)
            checked = await fsck(store.core)
            assert (checked.faults, checked.unnamed) == ([], 0)
            session = store.for_principal(await store.principal("reader"))
            for number in (0, 24):
                got = await session.manifests.get(growth.repository(number), growth.tag(number))
                assert got.data == growth.manifest(number)
            about = Digest.parse(digest_of(growth.manifest(0)))
            referrers = await session.manifests.referrers(
                growth.repository(0), about, artifact_type=None, after=None, limit=10
            )
            assert len(referrers.items) == growth.referrers(25) == 2
            found.append(checked.contents)
        finally:
            await store.close()
            await dataplane.close()
    assert found == [25 + 2 + 10 + 1] * 2


@pytest.mark.slow
def test_every_operation_is_measured_once_at_each_size(tmp_path: Path) -> None:
    args = argparse.Namespace(
        folder=tmp_path, engine="embedded", sizes=[20, 40], repositories=[2], requests=3, json=tmp_path / "x"
    )
    curves.run(args)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["operation"] for row in rows] == ["start", *OPERATIONS] * 2
    assert all(row["server µs"] > 0 and row["p50 ms"] > 0 for row in rows)
    curves.run(args)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == len(rows)


def test_growth_is_the_last_size_over_the_first() -> None:
    common = {"engine": "e", "repositories": 1, "operation": "push manifest", "p50 ms": 1.0, "p99 ms": 2.0}
    rows = [{**common, "size": size, "server µs": cost} for size, cost in ((100, 50), (10, 40))]
    (row,) = curves.tables(rows)["e, 1 repositories: server µs"]
    assert row == {"": "push manifest", "10": 40, "100": 50, "growth": 1.25}


@pytest.mark.slow
async def test_rows_of_many_manifests_stand_beside_those_of_the_ledger(tmp_path: Path) -> None:
    try:
        postgres = Postgres(embedded())
    except ImportError as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    dataplane, growth = open_memory(), Growth(repositories=3)
    try:
        store = await open_store(dataplane, postgres.url())
        try:
            await _grown(store, growth, 20)
            multiply(postgres, "store", growth, 20, 50)
            session = store.for_principal(await store.principal("reader"))
            tags = await session.manifests.tags(growth.repository(1), after=None, limit=100)
            assert list(tags.items) == [growth.tag(number) for number in range(1, 50, 3)]
            about = Digest.parse(digest_of(growth.manifest(0)))
            referrers = await session.manifests.referrers(
                growth.repository(0), about, artifact_type=None, after=None, limit=100
            )
            assert len(referrers.items) == growth.referrers(50)
            listed = await session.packages.list(after=None, limit=100)
            assert len(listed.items) == 50
            one = Search(fields=(("label.dev.example.number", "49"),))
            found = await session.packages.search(one, after=None, limit=10)
            assert [item.version for item in found.items] == [growth.tag(49)]
        finally:
            await store.close()
    finally:
        postgres.close()
        await dataplane.close()
