"""The registries that are tried: ours, one for a run, and `distribution` as a peer."""

from collections.abc import Iterator

import pytest

from conformance import distribution as peer
from conformance.server import Server, program, started
from conformance.settings import from_environment


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The registry to try: ARTIFACT_STORE_URL, or the product, started once or REPLICAS times."""
    settings = from_environment()
    if settings.url is not None:
        yield Server(settings.url.rstrip("/"))
        return
    if settings.replicas:
        from tests.replicas.cluster import cluster  # late: it needs the services of its tests

        with cluster(tmp_path_factory.mktemp("replicas"), replicas=settings.replicas) as several:
            yield Server(several.url, several.replicas[0].log_path)
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
