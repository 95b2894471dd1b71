"""What tests of several packages share: the S3 servers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.dataplane import S3Settings
from tests.objectstore.asking import make_bucket
from tests.objectstore.moto_server import MotoServer
from tests.objectstore.seaweed import SeaweedServer


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """One server for all tests of this process, with a bucket; skipped without its package."""
    try:
        server = SeaweedServer(tmp_path_factory.mktemp("seaweed"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    try:
        with ThreadPoolExecutor(1) as thread:  # whoever asks may stand in a loop already
            thread.submit(lambda: asyncio.run(make_bucket(server.settings("")))).result()
        yield server
    finally:
        server.close()


@pytest.fixture
def s3(seaweed: SeaweedServer) -> S3Settings:
    """A place in the bucket where nothing is yet."""
    return seaweed.settings(uuid.uuid4().hex)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    """The second server, which knows storage classes, with a bucket; skipped without its package."""
    try:
        server = MotoServer(tmp_path_factory.mktemp("moto"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(make_bucket(server.settings("")))).result()
        yield server
    finally:
        server.close()


@pytest.fixture
def second_s3(moto: MotoServer) -> S3Settings:
    """A place in its bucket where nothing is yet."""
    return moto.settings(uuid.uuid4().hex)
