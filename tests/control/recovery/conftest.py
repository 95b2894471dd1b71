"""A store on one machine, and one on PostgreSQL and a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.dataplane import S3Settings, open_local, open_s3
from registry.dataplane.archives import bucket_archive, folder_archive
from tests.control.recovery.filling import Site, in_folder
from tests.control.servers import PostgresServer


@pytest.fixture(params=["embedded", "replicas"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    """Storage, and where databases are made."""
    if request.param == "embedded":
        dataplane = open_local(tmp_path / "data")
        yield Site(dataplane, folder_archive(tmp_path / "data"), in_folder(tmp_path))
        await dataplane.close()
        return
    where: S3Settings = request.getfixturevalue("s3")
    server: PostgresServer = request.getfixturevalue("postgres")
    dataplane = await open_s3(where)
    archive = bucket_archive(where)
    yield Site(dataplane, archive, lambda: server.new_database(empty=True))
    await archive.close()
    await dataplane.close()


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Site]:
    """Files alone."""
    dataplane = open_local(tmp_path / "data")
    yield Site(dataplane, folder_archive(tmp_path / "data"), in_folder(tmp_path))
    await dataplane.close()
