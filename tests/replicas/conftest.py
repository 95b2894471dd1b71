"""Three replicas for the tests of a process, whole again before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replicas.cluster import Cluster, cluster


@pytest.fixture(scope="session")
def _three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("replicas")) as started:
        yield started


@pytest.fixture
def three(_three: Cluster) -> Iterator[Cluster]:
    """Three replicas that all run."""
    _three.heal()
    yield _three
