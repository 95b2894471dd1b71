"""Tags that move through one replica while the others are asked: what may be answered, and what was.

Every look-up notes which change was acknowledged last before it was sent, and which was begun last when its
answer had come. What it says must lie between the two; what lies before is stale.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.replicas.connection import Answer, Connection, Request, connected, request
from tests.server.oci_pushes import MANIFEST

_EMPTY = b"{}"
_EMPTY_DIGEST = f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}"
#: Manifests that a tag moves between, one after the other; moves under way at once are far fewer.
_ROUND = 64
#: Tags of the series that are there at a time.
_LIVE = 8
#: Look-ups that a reader sends at once.
_AT_ONCE = 4
_SERIES = "n"


@dataclass
class Count:
    """How far a series of changes has come: numbers from 1, one after the other."""

    acknowledged: int = 0
    begun: int = 0


@dataclass(frozen=True)
class Seen:
    """The counts of one moment."""

    moved: int
    made: int
    deleted: int


@dataclass
class Found:
    """What was done, and what look-ups answered wrongly, each a sentence."""

    looked_up: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    stale: list[str] = field(default_factory=list)


#: What an answer says and must not, given the counts acknowledged before and begun after; None if nothing.
_Check = Callable[[Answer, Seen, Seen], str | None]


class Race:
    """A repository whose tag `moving` moves, and whose tags `n1`, `n2` … come and go, through any replica."""

    def __init__(self, repository: str) -> None:
        self._repository = repository
        self._manifests = [_manifest(f"{repository} {number}") for number in range(_ROUND)]
        self._numbers = {_digest(data): number for number, data in enumerate(self._manifests)}
        self._moved, self._made, self._deleted = Count(), Count(), Count()
        self._over = False
        self.found = Found()

    async def run(self, writers: Sequence[str], readers: Sequence[str], look_ups: int) -> Found:
        """Change through `writers` in turn and ask all `readers`, URLs, until there were so many look-ups."""
        async with AsyncExitStack() as stack:

            async def opened(urls: Sequence[str]) -> list[Connection]:
                return [await stack.enter_async_context(connected(url)) for url in urls]

            changing = [await opened(writers) for _ in range(2)]
            asking = await opened(readers)
            await self._prepare(changing[0][0])
            changes = [
                asyncio.create_task(self._move(itertools.cycle(changing[0]))),
                asyncio.create_task(self._come_and_go(itertools.cycle(changing[1]))),
            ]
            share = -(-look_ups // len(asking))
            try:
                await asyncio.gather(*(self._look(connection, share) for connection in asking))
            finally:
                self._over = True
                await asyncio.gather(*changes)
        self.found.changes = self._moved.begun + self._made.begun + self._deleted.begun
        return self.found

    # --- changes -----------------------------------------------------------------------------------------

    async def _prepare(self, connection: Connection) -> None:
        place = f"/v2/{self._repository}/blobs/uploads/?digest={_EMPTY_DIGEST}"
        await _do(connection, request("POST", place, _EMPTY, "application/octet-stream"), 201)
        await _do(connection, self._put("moving", 0), 201)

    async def _move(self, connections: Iterator[Connection]) -> None:
        while not self._over:
            self._moved.begun += 1
            await _do(next(connections), self._put("moving", self._moved.begun), 201)
            self._moved.acknowledged = self._moved.begun

    async def _come_and_go(self, connections: Iterator[Connection]) -> None:
        while not self._over:
            self._made.begun += 1
            await _do(next(connections), self._put(f"{_SERIES}{self._made.begun}", 0), 201)
            self._made.acknowledged = self._made.begun
            if self._made.begun > _LIVE:
                self._deleted.begun += 1
                await _do(next(connections), self._ask("DELETE", f"{_SERIES}{self._deleted.begun}"), 202)
                self._deleted.acknowledged = self._deleted.begun

    def _put(self, tag: str, number: int) -> Request:
        data = self._manifests[number % _ROUND]
        return request("PUT", f"/v2/{self._repository}/manifests/{tag}", data, MANIFEST)

    # --- look-ups ----------------------------------------------------------------------------------------

    async def _look(self, connection: Connection, share: int) -> None:
        moving = f"/v2/{self._repository}/manifests/moving"
        head, get = request("HEAD", moving), request("GET", moving)
        kinds: list[tuple[str, Callable[[], Request], _Check]] = [
            *[("HEAD of a tag", lambda: head, self._check_moving)] * 3,
            *[("GET of a tag", lambda: get, self._check_moving)] * 3,
            ("HEAD of a new tag", self._newest, self._check_newest),
            ("HEAD of a deleted tag", self._last_deleted, self._check_deleted),
            ("GET of the tags", self._tags, self._check_tags),
            ("GET of a package", self._package, self._check_package),
        ]
        asked = 0
        for name, ask, check in itertools.cycle(kinds):
            if asked >= share:
                return
            before = Seen(self._moved.acknowledged, self._made.acknowledged, self._deleted.acknowledged)
            answers = await connection.ask(*[ask()] * _AT_ONCE)
            after = Seen(self._moved.begun, self._made.begun, self._deleted.begun)
            asked += len(answers)
            self.found.looked_up[name] += len(answers)
            for answer in answers:
                if (fault := check(answer, before, after)) is not None:
                    self.found.stale.append(f"{name}: {fault} (between {before} and {after})")

    def _ask(self, method: str, tag: str) -> Request:
        return request(method, f"/v2/{self._repository}/manifests/{tag}")

    def _newest(self) -> Request:
        return self._ask("HEAD", f"{_SERIES}{self._made.acknowledged}")

    def _last_deleted(self) -> Request:
        return self._ask("HEAD", f"{_SERIES}{self._deleted.acknowledged}")

    def _tags(self) -> Request:
        return request("GET", f"/v2/{self._repository}/tags/list")

    def _package(self) -> Request:
        return request("GET", f"/api/v1/packages/{self._repository}:moving")

    def _check_moving(self, answer: Answer, before: Seen, after: Seen) -> str | None:
        return self._check_digest(answer, answer.field(b"docker-content-digest").decode(), before, after)

    def _check_package(self, answer: Answer, before: Seen, after: Seen) -> str | None:
        digest = json.loads(answer.body).get("manifest_digest", "") if answer.status == 200 else ""
        return self._check_digest(answer, digest, before, after)

    def _check_digest(self, answer: Answer, digest: str, before: Seen, after: Seen) -> str | None:
        number = self._numbers.get(digest)
        allowed = {move % _ROUND for move in range(before.moved, after.moved + 1)}
        return None if answer.status == 200 and number in allowed else f"{answer.status} and move {number}"

    def _check_newest(self, answer: Answer, before: Seen, after: Seen) -> str | None:
        may_be_gone = before.made <= after.deleted
        return None if answer.status == 200 or before.made == 0 or may_be_gone else f"{answer.status}"

    def _check_deleted(self, answer: Answer, before: Seen, after: Seen) -> str | None:
        return None if answer.status == 404 else f"{answer.status}"

    def _check_tags(self, answer: Answer, before: Seen, after: Seen) -> str | None:
        tags = {int(tag.removeprefix(_SERIES)) for tag in json.loads(answer.body)["tags"] if tag != "moving"}
        absent = set(range(after.deleted + 1, before.made + 1)) - tags
        back = {number for number in tags if number <= before.deleted or number > after.made}
        return f"without {absent}, with {back}" if absent or back else None


async def _do(connection: Connection, what: Request, expected: int) -> None:
    (answer,) = await connection.ask(what)
    assert answer.status == expected, (answer.status, answer.body)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _manifest(name: str) -> bytes:
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": _EMPTY_DIGEST, "size": len(_EMPTY)}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.race",
            "config": empty,
            "layers": [empty],
            "annotations": {"name": name},
        }
    ).encode()
