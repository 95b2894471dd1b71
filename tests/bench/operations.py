"""What a registry is asked to do, one function each, against a store that `tests.bench.growth` has filled.

Each gets a connection, the store's `Place` and a number that no earlier call had; what a number asks for is
the same in each run. Those that write leave the store with as many manifests as it had, in the end: what
`push` adds, `delete` removes.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import blake3

from registry.contract.manifest import OCI_EMPTY, OCI_MANIFEST
from tests.bench.asking import Connection
from tests.bench.growth import Growth
from tests.bench.shape import EMPTY, digest_of, document

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A store of `size` manifests, and a `run` whose writes are no other run's."""

    growth: Growth
    size: int
    run: str

    def any(self, number: int) -> int:
        """Some manifest, by chance and the same each time."""
        return random.Random(f"{self.size} {number}").randrange(self.size)

    def repository(self, number: int) -> str:
        """Where some manifest is."""
        return self.growth.repository(self.any(number))

    def pushed(self, number: int) -> bytes:
        """A manifest that is in no store yet."""
        chosen = self.any(number)
        labels = {"dev.example.pushed": f"{self.run} {number}", "dev.example.group": "pushed"}
        return document([self.growth.layer(chosen)], labels)

    def fresh(self, number: int) -> bytes:
        """1 KiB that are in no store yet."""
        return blake3.blake3(f"{self.run} {number}".encode()).digest(length=1024)


Operation = Callable[[Connection, Place, int], Awaitable[None]]


async def tag_get(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    await connection.ask("GET", f"/v2/{place.growth.repository(chosen)}/manifests/{place.growth.tag(chosen)}")


async def tag_head(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    await connection.ask(
        "HEAD", f"/v2/{place.growth.repository(chosen)}/manifests/{place.growth.tag(chosen)}"
    )


async def digest_get(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    digest = digest_of(place.growth.manifest(chosen))
    await connection.ask("GET", f"/v2/{place.growth.repository(chosen)}/manifests/{digest}")


async def blob_get(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    digest = digest_of(place.growth.layer(chosen))
    await connection.ask("GET", f"/v2/{place.growth.repository(chosen)}/blobs/{digest}")


async def blob_head(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    digest = digest_of(place.growth.layer(chosen))
    await connection.ask("HEAD", f"/v2/{place.growth.repository(chosen)}/blobs/{digest}")


async def tags_first(connection: Connection, place: Place, number: int) -> None:
    await connection.ask("GET", f"/v2/{place.repository(number)}/tags/list?n={_PAGE}")


async def tags_deep(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    tag = place.growth.tag(chosen)
    await connection.ask("GET", f"/v2/{place.growth.repository(chosen)}/tags/list?n={_PAGE}&last={tag}")


async def referrers_page(connection: Connection, place: Place, _number: int) -> None:
    subject = digest_of(place.growth.manifest(0))
    await connection.ask("GET", f"/v2/{place.growth.repository(0)}/referrers/{subject}?n={_PAGE}")


async def catalog_first(connection: Connection, _place: Place, _number: int) -> None:
    await connection.ask("GET", f"/v2/_catalog?n={_PAGE}")


async def catalog_deep(connection: Connection, place: Place, number: int) -> None:
    last = quote(place.repository(number), safe="")
    await connection.ask("GET", f"/v2/_catalog?n={_PAGE}&last={last}")


async def package_get(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    await connection.ask(
        "GET", f"/api/v1/packages/{place.growth.repository(chosen)}:{place.growth.tag(chosen)}"
    )


async def package_list(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    after = quote(f"{place.growth.repository(chosen)}:{place.growth.tag(chosen)}", safe="")
    await connection.ask("GET", f"/api/v1/packages?limit={_PAGE}&after={after}")


async def search_one(connection: Connection, place: Place, number: int) -> None:
    chosen = place.any(number)
    fields = f"label.dev.example.number={chosen}&label.dev.example.group={place.growth.group(chosen)}"
    await connection.ask("GET", f"/api/v1/search?{fields}&limit={_PAGE}")


async def search_common(connection: Connection, place: Place, number: int) -> None:
    group = place.growth.group(place.any(number))
    await connection.ask("GET", f"/api/v1/search?label.dev.example.group={group}&limit=10")


async def push(connection: Connection, place: Place, number: int) -> None:
    await connection.ask(
        "PUT",
        f"/v2/{place.repository(number)}/manifests/pushed-{number}",
        place.pushed(number),
        OCI_MANIFEST,
        expect=201,
    )


async def delete(connection: Connection, place: Place, number: int) -> None:
    target = f"/v2/{place.repository(number)}/manifests/{digest_of(place.pushed(number))}"
    await connection.ask("DELETE", target, expect=202)


async def blob_push(connection: Connection, place: Place, number: int) -> None:
    """A session, as clients do it: two requests."""
    begun = await connection.ask("POST", f"/v2/{place.repository(number)}/blobs/uploads/", b"", expect=202)
    data = place.fresh(number)
    target = f"{begun.fields['location']}?digest={digest_of(data)}"
    await connection.ask("PUT", target, data, "application/octet-stream", expect=201)


async def artifact_push(connection: Connection, place: Place, number: int) -> None:
    """A blob of 1 KiB in one request, then the manifest that names it."""
    data, repository = place.fresh(-1 - number), place.repository(number)
    target = f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}"
    await connection.ask("POST", target, data, "application/octet-stream", expect=201)
    manifest = artifact(place, number)
    await connection.ask(
        "PUT", f"/v2/{repository}/manifests/artifact-{number}", manifest, OCI_MANIFEST, expect=201
    )


async def artifact_delete(connection: Connection, place: Place, number: int) -> None:
    """What `artifact_push` added, but for the blob, which a collection would take."""
    target = f"/v2/{place.repository(number)}/manifests/{digest_of(artifact(place, number))}"
    await connection.ask("DELETE", target, expect=202)


def artifact(place: Place, number: int) -> bytes:
    """The manifest of a small artifact."""
    return document([place.fresh(-1 - number)], {"dev.example.artifact": f"{place.run} {number}"})


async def prepare(connection: Connection, place: Place, number: int) -> None:
    """What pushes name is there: the config and the layer, in the repository that the number goes to."""
    repository = place.repository(number)
    for data, media_type in ((EMPTY, OCI_EMPTY), (place.growth.layer(place.any(number)), "a/b")):
        target = f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}"
        await connection.ask("POST", target, data, media_type, expect=201)


#: In the order in which they are measured. What deletes comes after what it deletes.
OPERATIONS: dict[str, Operation] = {
    "GET manifest by tag": tag_get,
    "HEAD manifest by tag": tag_head,
    "GET manifest by digest": digest_get,
    "GET blob of 1 KiB": blob_get,
    "HEAD blob": blob_head,
    "tags, first 100": tags_first,
    "tags, 100 from the midst": tags_deep,
    "referrers, first 100": referrers_page,
    "repositories, first 100": catalog_first,
    "repositories, 100 from the midst": catalog_deep,
    "read package": package_get,
    "list packages, 100 from the midst": package_list,
    "search, one match": search_one,
    "search, common label, 10": search_common,
    "push manifest": push,
    "delete manifest": delete,
    "push blob of 1 KiB": blob_push,
    "push small artifact": artifact_push,
    "delete small artifact": artifact_delete,
}
