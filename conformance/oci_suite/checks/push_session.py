"""The life of an upload session: its state, its cancelling, its end (end-13, end-14)."""

import re
import uuid

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import body, header, holds, present, refused, status
from ..plan import Level, Profile
from ..rule import Skip, algorithms, each, named, rule
from ..session import OCTETS, Session
from ..wire import with_query

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@rule("push/status", "end-13", Level.MUST, "GET of an upload is 204 with Location and Range", algorithms)
def ask(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    session = repository.begin()
    data = bench.source.blob(1500 + session.minimum)
    offset = max(1000, session.minimum)
    status(session.patch(data[:offset], 0), 202)
    answer = status(session.ask(), 204)
    present(answer, "Location")
    header(answer, "Range", f"0-{offset - 1}")
    digest = digest_of(data, algorithm)
    status(session.close(digest, data[offset:], offset), 201)
    body(status(repository.blob(digest), 200), data)


@rule("push/status", "end-13", Level.MUST, "GET of an upload that has no bytes yet is 204 with a Location")
def ask_empty(bench: Bench) -> None:
    present(status(bench.repository().begin().ask(), 204), "Location")


@rule(
    "push/status",
    "end-13",
    Level.TRAP,
    "Range of an empty upload is 0-0 or left out: clients cannot parse 0--1",
    each("POST", "GET"),
)
def empty_range(bench: Bench, method: str) -> None:
    repository = bench.repository()
    begun = status(repository.post_upload(), 202)
    answer = begun if method == "POST" else status(Session(bench.wire, begun).ask(), 204)
    holds(answer, answer.header("Range") in (None, "0-0"), "Range: 0-0, or none")


@rule("push/status", "end-13", Level.MUST, "asking twice changes nothing")
def ask_twice(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(900)
    session = repository.begin()
    first, *rest = session.chunks(data, 2)
    status(session.patch(first, 0), 202)
    for _ in range(2):
        header(status(session.ask(), 204), "Range", f"0-{len(first) - 1}")
    for chunk in rest:
        status(session.patch(chunk, len(first)), 202)
    status(session.close(digest_of(data)), 201)


@rule(
    "push/cancel",
    "end-14",
    Level.SHOULD,
    "DELETE of an upload is 204",
    named({"empty": 0, "begun": 500}),
    since=Profile.DEV,
)
def cancel(bench: Bench, size: int) -> None:
    session = bench.repository().begin()
    if size:
        status(session.stream(bench.source.blob(size)), 202)
    status(session.cancel(), 204)


@rule(
    "push/cancel",
    "end-14",
    Level.SHOULD,
    "a cancelled upload is gone",
    each("GET", "PATCH", "PUT", "DELETE"),
    since=Profile.DEV,
)
def cancelled(bench: Bench, method: str) -> None:
    session, data = bench.repository().begin(), bench.source.blob(100)
    status(session.cancel(), 204)
    _use(bench, session, method, data)


@rule(
    "push/session",
    "end-13",
    Level.SHOULD,
    "an upload that ended is 404",
    each("GET", "PATCH", "PUT"),
    algorithms,
)
def ended(bench: Bench, method: str, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(100)
    session = repository.begin()
    status(session.close(digest_of(data, algorithm), data), 201)
    _use(bench, session, method, data)


@rule("push/session", "end-13", Level.SHOULD, "an upload that never was is 404", each("GET", "PATCH", "PUT"))
def unknown(bench: Bench, method: str) -> None:
    session = bench.repository().begin()
    if not UUID.search(session.location):
        raise Skip("no UUID to change in the Location")
    session.location = UUID.sub(str(uuid.uuid4()), session.location)
    # a Location may carry its state sealed, and then this is a forged one: 400
    _use(bench, session, method, bench.source.blob(100), 404, 400)


@rule(
    "push/session",
    "end-13",
    Level.TRAP,
    "an upload of one repository is none of another",
    each("GET", "PATCH", "PUT"),
)
def of_one_repository(bench: Bench, method: str) -> None:
    repository, other = bench.repository(), bench.repository()
    other.push_blob(b"{}")
    session, data = repository.begin(), bench.source.blob(100)
    if repository.name not in session.location:
        raise Skip("no repository name to change in the Location")
    session.location = session.location.replace(repository.name, other.name)
    answer = _request(bench, session, method, data)
    refused(answer, "the upload belongs to another repository")


@rule("push/session", "end-5", Level.SHOULD, "two uploads of one repository do not mix", algorithms)
def side_by_side(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    sessions = [repository.begin() for _ in range(3)]
    blobs = [bench.source.blob(3000) for _ in sessions]
    size = max(1000, *(session.minimum for session in sessions))
    for start in range(0, 3000, size):
        for session, data in zip(sessions, blobs, strict=True):
            status(session.patch(data[start : start + size], start), 202)
    for session, data in zip(sessions, blobs, strict=True):
        digest = digest_of(data, algorithm)
        status(session.close(digest), 201)
        body(status(repository.blob(digest), 200), data)


@rule("push/session", "end-6", Level.SHOULD, "two uploads of the same blob both end well", algorithms)
def same_blob_twice(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(2000)
    first, second = repository.begin(), repository.begin()
    for session in (first, second):
        status(session.stream(data), 202)
    for session in (first, second):
        status(session.close(digest_of(data, algorithm)), 201)


@rule(
    "push/session", "end-6", Level.MUST, "bytes of an upload are not visible before it is closed", algorithms
)
def invisible(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(800)
    repository.push_blob(bench.source.blob(3))
    status(repository.begin().stream(data), 202)
    status(repository.blob(digest_of(data, algorithm)), 404)


def _request(bench: Bench, session: Session, method: str, data: bytes) -> Exchange:
    target = with_query(session.location, "digest", digest_of(data)) if method == "PUT" else session.location
    sent = data if method in ("PUT", "PATCH") else None
    return bench.wire.send(method, target, headers=OCTETS if sent else {}, body=sent)


def _use(bench: Bench, session: Session, method: str, data: bytes, *allowed: int) -> None:
    status(_request(bench, session, method, data), *(allowed or (404,)), why="there is no such upload")
