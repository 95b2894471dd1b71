"""The registries that are tried: ours, one for a run, and `distribution` as a peer."""

from collections.abc import Iterator

import pytest

from conformance import distribution as peer
from conformance.server import Server, program, started
from conformance.settings import from_environment


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The registry to try: ARTIFACT_STORE_URL, or the product, started for this run."""
    url = from_environment().url
    if url is not None:
        yield Server(url.rstrip("/"))
        return
    with started(program(), tmp_path_factory.mktemp("server")) as ours:
        yield ours


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the registry `distribution`, fresh."""
    if not peer.PROGRAM.exists():
        missing = f"{peer.PROGRAM.name} is not in .tools/bin: python -m conformance.clients.install"
        if from_environment().require_all:
            pytest.fail(missing)
        pytest.skip(missing)
    with peer.started(tmp_path_factory.mktemp("distribution")) as url:
        yield url
