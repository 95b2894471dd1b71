"""Fixtures of the walk: one set of material a run, a fresh home and repository name a test."""

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from conformance.clients import material
from conformance.clients.shell import Shell, open_shell
from conformance.server import Server
from conformance.settings import from_environment


@pytest.fixture
def native(server: Server) -> str:
    """The base of the native API; a peer that has none is not asked about it."""
    base = f"{server.url}/api/v1"
    if not server.is_ours and httpx.get(f"{base}/openapi.json", trust_env=False).status_code != 200:
        pytest.skip(f"{server.url} has no native API")
    return base


@pytest.fixture
def shell(tmp_path: Path, server: Server) -> Shell:
    """A home of its own for the clients of this test."""
    return open_shell(tmp_path / "home", server)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository name nobody has used, so that a registry can be walked again."""
    client = Path(request.node.fspath).stem.removeprefix("test_").replace("_", "-")
    return f"walk/{client}/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def remote(server: Server, repository: str) -> str:
    """HOST:PORT/REPOSITORY."""
    return f"{server.host}/{repository}"


@pytest.fixture(scope="session")
def hundred_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a hundred files. To be read only."""
    return material.hundred_files(tmp_path_factory.mktemp("hundred"))


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of BIG_MIB. To be read only."""
    return material.big_file(tmp_path_factory.mktemp("big") / "big.bin", from_environment().big_mib)


@pytest.fixture
def oras_py(server: Server) -> Any:
    """oras-py's client, over plain HTTP."""
    if not from_environment().require_all:
        pytest.importorskip("oras.client", reason="oras-py is missing: pip install oras")
    import oras.client  # type: ignore[import-untyped]  # optional, hence here

    return oras.client.OrasClient(hostname=server.host, insecure=True)
