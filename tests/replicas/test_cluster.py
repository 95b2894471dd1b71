"""The replicas that other tests disturb: each request goes to the next one, and what is broken heals."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.replicas.cluster import Cluster
from tests.replicas.proxy import SERVED_BY

pytestmark = pytest.mark.slow


def served_by(three: Cluster, requests: int) -> Counter[str]:
    """How many requests of one connection each replica answered."""
    with three.client() as client:
        answers = [client.get("/v2/") for _ in range(requests)]
    assert {answer.status_code for answer in answers} == {200}
    return Counter(answer.headers[SERVED_BY] for answer in answers)


def test_requests_of_one_connection_go_to_all_replicas_in_turn(three: Cluster) -> None:
    assert served_by(three, 30) == {"r0": 10, "r1": 10, "r2": 10}


def test_a_killed_replica_costs_no_read(three: Cluster) -> None:
    three.replicas[1].kill()
    assert set(served_by(three, 30)) == {"r0", "r2"}
    three.heal()
    assert set(served_by(three, 30)) == {"r0", "r1", "r2"}


def test_a_paused_replica_is_left_out_until_it_wakes(three: Cluster) -> None:
    three.replicas[0].pause()
    three.proxy.await_up({"r1", "r2"})
    assert set(served_by(three, 9)) == {"r1", "r2"}
    three.replicas[0].resume()
    three.proxy.await_up({"r0", "r1", "r2"})


def test_replicas_serve_again_after_the_database_was_restarted(three: Cluster) -> None:
    three.postgres.restart()
    three.heal()
    with three.client() as client:
        assert client.get("/api/v1/events", params={"limit": 1}).status_code == 200
