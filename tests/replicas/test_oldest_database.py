"""PostgreSQL 15 is the oldest that works: Debian's, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry.contract.names import Tag
from registry.dataplane import open_memory
from tests.control.world import DEMO, open_world
from tests.replicas import postgres
from tests.replicas.postgres import Postgres


@pytest.fixture
def oldest() -> Iterator[Postgres]:
    programs = postgres.debian()
    if programs is None:
        pytest.skip("no PostgreSQL of Debian's packages is installed (optional)")
    server = Postgres(programs)
    yield server
    server.close()


async def test_a_store_is_made_written_and_rebuilt(oldest: Postgres) -> None:
    assert int(oldest.execute("SHOW server_version_num")) >= 150_000
    dataplane = open_memory()
    async with open_world(oldest.url(), dataplane) as world:
        digest = await world.push_image("v1")
        await world.push_image("v2", [b"another"])
        await world.session.manifests.delete(DEMO, Tag("v2"))
        assert (await world.session.manifests.get(DEMO, Tag("v1"))).digest == digest
        await world.check()
    await dataplane.close()
