"""Three replicas are one store: what one did the others know, and of several that want the same one wins."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest

from tests.replicas.cluster import Cluster
from tests.server.oci_pushes import MANIFEST, digest_of, push_blob, push_image

INDEX = "application/vnd.oci.image.index.v1+json"
ROUNDS = 12


@pytest.fixture
def clients(three: Cluster) -> Iterator[list[httpx.Client]]:
    """A client of each replica."""
    with ExitStack() as stack:
        yield [stack.enter_context(replica.client()) for replica in three.replicas]


def turned(clients: list[httpx.Client], number: int) -> list[httpx.Client]:
    """The same, beginning with another one each time."""
    start = number % len(clients)
    return clients[start:] + clients[:start]


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Their answers, asked for at the same time."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [asked.result() for asked in [threads.submit(call) for call in calls]]


def put_manifest(
    client: httpx.Client, repository: str, reference: str, data: bytes, **fields: str
) -> httpx.Response:
    """`fields` are headers, with `_` for `-`."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    headers["Content-Type"] = json.loads(data)["mediaType"]
    return client.put(f"/v2/{repository}/manifests/{reference}", content=data, headers=headers)


def manifests(client: httpx.Client, repository: str, count: int) -> list[bytes]:
    """Images that differ in a layer, whose blobs are there and which themselves are not."""
    config = b"{}"
    push_blob(client, repository, config)
    made = []
    for _ in range(count):
        layer = os.urandom(20)
        push_blob(client, repository, layer)
        made.append(
            json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": MANIFEST,
                    "config": {"mediaType": "application/json", "digest": digest_of(config), "size": 2},
                    "layers": [{"mediaType": "text/plain", "digest": digest_of(layer), "size": len(layer)}],
                }
            ).encode()
        )
    return made


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_what_one_replica_deleted_no_other_serves(clients: list[httpx.Client]) -> None:
    for number in range(ROUNDS):
        first, *others = turned(clients, number)
        layer = os.urandom(30)
        manifest = digest_of(push_image(first, "gone", "tag", b"{}", layer))
        blob = digest_of(layer)
        places = [
            f"/v2/gone/manifests/{manifest}",
            "/v2/gone/manifests/tag",
            f"/v2/gone/blobs/{blob}",
            "/api/v1/packages/gone:tag",
        ]
        for client in clients:  # into whatever a replica remembers
            assert [client.get(place).status_code for place in places] == [200] * 4
        assert first.delete(places[0]).status_code == 202
        for client in others:
            assert [client.get(places[i]).status_code for i in (0, 1, 3)] == [404] * 3
        assert others[0].delete(places[2]).status_code == 202
        for client in (first, others[1]):
            assert client.get(places[2]).status_code == 404
            assert client.head(places[2]).status_code == 404


def test_of_different_pushes_to_an_immutable_tag_one_wins_for_all(clients: list[httpx.Client]) -> None:
    for number in range(ROUNDS):
        contenders = manifests(clients[number % 3], "release/app", 3)
        answers = at_once(
            *(
                partial(put_manifest, client, "release/app", f"v{number}", data)
                for client, data in zip(clients, contenders, strict=True)
            )
        )
        assert statuses(answers) == {201: 1, 403: 2}
        won = contenders[[answer.status_code for answer in answers].index(201)]
        found = {client.get(f"/v2/release/app/manifests/v{number}").content for client in clients}
        assert found == {won}
        assert {client.delete(f"/v2/release/app/manifests/v{number}").status_code for client in clients} == {
            403
        }


def test_of_several_that_create_a_tag_only_if_there_is_none_one_does(clients: list[httpx.Client]) -> None:
    for number in range(ROUNDS):
        contenders = manifests(clients[number % 3], "first", 3)
        answers = at_once(
            *(
                partial(put_manifest, client, "first", f"t{number}", data, if_none_match="*")
                for client, data in zip(clients, contenders, strict=True)
            )
        )
        assert statuses(answers) == {201: 1, 412: 2}


def test_of_several_that_move_a_tag_from_where_they_saw_it_one_does(clients: list[httpx.Client]) -> None:
    seen = digest_of(push_image(clients[0], "moved", "tag", b"{}", b"first"))
    for number in range(ROUNDS):
        contenders = manifests(clients[number % 3], "moved", 3)
        answers = at_once(
            *(
                partial(put_manifest, client, "moved", "tag", data, if_match=f'"{seen}"')
                for client, data in zip(clients, contenders, strict=True)
            )
        )
        assert statuses(answers) == {201: 1, 412: 2}
        seen = digest_of(contenders[[answer.status_code for answer in answers].index(201)])


def test_of_different_packages_for_one_version_one_is_stored(clients: list[httpx.Client]) -> None:
    for number in range(ROUNDS):
        answers = at_once(
            *(
                partial(
                    client.put,
                    f"/api/v1/packages/versions:{number}",
                    json={"labels": {"of": f"{label}"}, "files": []},
                )
                for label, client in enumerate(clients)
            )
        )
        assert statuses(answers) == {201: 1, 409: 2}


def test_an_index_and_the_deletion_of_what_it_lists_exclude_each_other(clients: list[httpx.Client]) -> None:
    for number in range(ROUNDS):
        first, second, third = turned(clients, number)
        (child,) = manifests(first, "listed", 1)
        assert put_manifest(first, "listed", digest_of(child), child).status_code == 201
        index = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "manifests": [{"mediaType": MANIFEST, "digest": digest_of(child), "size": len(child)}],
            }
        ).encode()
        pushed, deleted = at_once(
            partial(put_manifest, first, "listed", f"i{number}", index),
            partial(second.delete, f"/v2/listed/manifests/{digest_of(child)}"),
        )
        there = third.get(f"/v2/listed/manifests/{digest_of(child)}").status_code
        assert (pushed.status_code, deleted.status_code, there) in {(201, 405, 200), (400, 202, 404)}


def test_a_schema_registered_through_one_replica_holds_for_all_at_once(clients: list[httpx.Client]) -> None:
    variant = "/api/v1/schemas/replicas.v1"
    for number in range(ROUNDS):
        first, *others = turned(clients, number)
        schema: dict[str, Any] = {"type": "object", "properties": {"n": {"const": number}}, "required": ["n"]}
        assert first.put(variant, json=schema).status_code == 201
        for client in others:
            place = f"/api/v1/packages/typed:{number}-{client.base_url.port}"
            package = {"variant": "replicas.v1", "metadata": {"n": number - 1}, "files": []}
            assert client.put(place, json=package).status_code == 422
            package["metadata"] = {"n": number}
            assert client.put(place, json=package).status_code == 201
    assert clients[0].delete(variant).status_code == 204
    free = {"variant": "replicas.v1", "metadata": {"n": -1}, "files": []}
    assert clients[1].put("/api/v1/packages/typed:free", json=free).status_code == 201


def test_a_draft_is_filled_through_one_replica_and_finalized_through_another(
    clients: list[httpx.Client],
) -> None:
    first, second, third = clients
    draft = "/api/v1/packages/drafted:v1"
    assert first.put(f"{draft}/files/one.txt", content=b"one").status_code == 201
    assert second.put(f"{draft}/files/two.txt", content=b"two").status_code == 201
    assert third.get("/v2/drafted/tags/list").status_code == 404
    assert third.post(f"{draft}/finalize").status_code == 201
    assert first.get(f"{draft}/files/two.txt").content == b"two"
    assert second.get(draft).json()["version"] == "v1"
