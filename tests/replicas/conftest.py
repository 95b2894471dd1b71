"""Three replicas for the tests of a process, whole again before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replicas.cluster import Cluster, cluster

_RULES = """
[[repository]]
match = "release/*"
immutable_tags = ["v*"]
"""


@pytest.fixture(scope="session")
def _three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("replicas")
    rules = folder / "rules.toml"
    rules.write_text(_RULES)
    with cluster(folder, settings={"ARTIFACT_STORE_CONFIG": str(rules)}) as started:
        yield started


@pytest.fixture
def three(_three: Cluster) -> Iterator[Cluster]:
    """Three replicas that all run, as they were configured."""
    _three.heal()
    yield _three
