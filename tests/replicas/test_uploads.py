"""An upload is no replica's own: begun on one, continued on another, completed on a third, killed or not."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise

import httpx
import pytest

from tests.replicas.cluster import Cluster
from tests.replicas.protocols import WAYS, Way
from tests.replicas.replica import Replica
from tests.server.oci_pushes import digest_of

MIB = 1 << 20
#: The upload is complete or gone, longer than was thought, or somebody else writes to it just now.
REFUSED = {404, 409, 416, 423}


@pytest.fixture
def clients(three: Cluster) -> Iterator[list[httpx.Client]]:
    """A client of each replica."""
    with ExitStack() as stack:
        yield [stack.enter_context(replica.client()) for replica in three.replicas]


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@contextmanager
def under_way(
    replica: Replica, way: Way, place: str, offset: int, data: bytes, sent: int
) -> Iterator[socket.socket]:
    """A PATCH of `data` of which only the first `sent` bytes have been sent."""
    fields = {"Host": "localhost", "Content-Length": str(len(data)), **way.fields(offset, len(data))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", replica.port), 30) as line:
        line.sendall(f"PATCH {place} HTTP/1.1\r\n{head}\r\n".encode() + data[:sent])
        yield line


def status_of(line: socket.socket) -> int:
    """The status of the answer, 0 where the connection ends without one."""
    try:
        head = line.recv(12)
    except ConnectionError:
        return 0
    return int(head[9:12]) if head else 0


def finish(way: Way, clients: list[httpx.Client], place: str, data: bytes) -> None:
    """Send what is missing through the one, complete through the other, and read the blob through all."""
    first, last = clients[0], clients[-1]
    reached = way.reached(first, place)
    if reached < len(data):
        assert way.send(first, place, reached, data[reached:]).status_code == way.taken
    assert way.complete(last, place, data) == 201
    for client in clients:
        assert way.read(client, data) == data


def test_begun_on_one_continued_on_another_completed_on_the_third(
    way: Way, clients: list[httpx.Client]
) -> None:
    data = os.urandom(13 * MIB + 7)
    cuts = [0, 100, 6 * MIB, 6 * MIB + 1, len(data)]
    place = way.begin(clients[0], len(data))
    for number, (start, end) in enumerate(pairwise(cuts), 1):
        client = clients[number % 3]
        assert way.send(client, place, start, data[start:end]).status_code == way.taken
        assert [way.reached(other, place) for other in clients] == [end] * 3
    assert way.complete(clients[2], place, data) == 201
    assert [way.read(client, data) for client in clients] == [data] * 3


@pytest.mark.parametrize("size", [10, 300_000])
def test_begun_on_one_and_put_whole_to_another(clients: list[httpx.Client], size: int) -> None:
    data = os.urandom(size)
    place = clients[0].post("/v2/up/load/blobs/uploads/").headers["Location"]
    assert clients[1].put(place, params={"digest": digest_of(data)}, content=data).status_code == 201
    assert clients[2].get(f"/v2/up/load/blobs/{digest_of(data)}").content == data
    assert clients[0].get(place).status_code == 404


def test_one_post_through_one_replica_is_read_through_the_others(clients: list[httpx.Client]) -> None:
    for client in clients:
        data = os.urandom(70_000)
        done = client.post("/v2/up/load/blobs/uploads/", params={"digest": digest_of(data)}, content=data)
        assert done.status_code == 201
        assert [c.get(done.headers["Location"]).content for c in clients] == [data] * 3


def test_what_was_acknowledged_goes_on_when_its_replica_is_killed(
    way: Way, three: Cluster, clients: list[httpx.Client]
) -> None:
    data = os.urandom(9 * MIB)
    place = way.begin(clients[0], len(data))
    assert way.send(clients[0], place, 0, data[: 5 * MIB]).status_code == way.taken
    three.replicas[0].kill()
    assert way.reached(clients[1], place) == 5 * MIB
    finish(way, clients[1:], place, data)


def test_a_patch_that_dies_with_its_replica_goes_on_where_it_was(
    way: Way, three: Cluster, clients: list[httpx.Client]
) -> None:
    data = os.urandom(24 * MIB)
    place = way.begin(clients[1], len(data))
    with under_way(three.replicas[0], way, place, 0, data, 20 * MIB) as line:
        deadline = time.monotonic() + 20
        while not way.reached(clients[1], place):  # some of it is in the bucket
            assert time.monotonic() < deadline
            time.sleep(0.05)
        three.replicas[0].kill()
        assert status_of(line) == 0
    assert 0 < way.reached(clients[1], place) <= 20 * MIB
    finish(way, clients[1:], place, data)


@pytest.mark.parametrize("size", [40_000, 11 * MIB])
def test_of_a_patch_under_way_and_another_one_wins_and_nothing_is_mixed(
    way: Way, three: Cluster, clients: list[httpx.Client], size: int
) -> None:
    """A client gives its connection up and goes on elsewhere; what it had sent arrives after all."""
    begin, slow, fast = os.urandom(1000), b"s" * size, b"f" * size
    place = way.begin(clients[2], 1000 + size)
    assert way.send(clients[2], place, 0, begin).status_code == way.taken
    with under_way(three.replicas[0], way, place, 1000, slow, size - 10) as line:
        reached = way.reached(clients[1], place)
        assert 1000 <= reached < 1000 + size
        rest = slow[: reached - 1000] + fast[reached - 1000 :]
        second = way.send(clients[1], place, reached, rest[reached - 1000 :]).status_code
        line.sendall(slow[size - 10 :])
        first = status_of(line)
    assert (first == way.taken) + (second == way.taken) == 1, (first, second)
    assert {first, second} <= {way.taken, *REFUSED}
    finish(way, clients, place, begin + (slow if first == way.taken else rest))


def test_of_pieces_for_one_offset_through_all_replicas_one_is_taken(
    way: Way, clients: list[httpx.Client]
) -> None:
    place, data = way.begin(clients[0], 5 * 8000 + 1), b""
    for _ in range(5):
        pieces = [os.urandom(8000) for _ in clients]
        with ThreadPoolExecutor(3) as threads:
            asked = [
                threads.submit(partial(way.send, client, place, len(data), piece))
                for client, piece in zip(clients, pieces, strict=True)
            ]
            statuses = [one.result().status_code for one in asked]
        assert statuses.count(way.taken) == 1, statuses
        assert set(statuses) <= {way.taken, *REFUSED}
        data += pieces[statuses.index(way.taken)]
    finish(way, clients, place, data + b"!")


def test_completed_through_all_replicas_at_once(way: Way, clients: list[httpx.Client]) -> None:
    for size in (9, 6 * MIB):
        data = os.urandom(size)
        place = way.begin(clients[0], size + 1)
        data += b"!"
        assert way.send(clients[0], place, 0, data).status_code == way.taken
        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(partial(way.complete, client, place, data)) for client in clients]
            statuses = [one.result() for one in asked]
        assert 201 in statuses
        assert set(statuses) <= {201, *REFUSED}, statuses
        assert [way.read(client, data) for client in clients] == [data] * 3


def test_what_is_cancelled_through_one_replica_is_gone_from_all(
    way: Way, clients: list[httpx.Client]
) -> None:
    place = way.begin(clients[0], 10)
    assert way.send(clients[1], place, 0, b"some").status_code == way.taken
    assert clients[2].delete(place, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    for client in clients:
        assert way.send(client, place, 4, b"more").status_code == 404
