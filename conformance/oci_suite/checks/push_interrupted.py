"""Pushes that break off, and what else only shows on the bare connection (end-5, end-6, end-7)."""

import re
import socket
import time

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import body, holds, refused, status
from ..manifest import OCI_IMAGE, image
from ..plan import Level
from ..rawsocket import RawConnection
from ..rule import algorithms, named, rule
from ..session import Session
from ..wire import with_query


def _state_after_cut(session: Session) -> Exchange:
    """The upload's state once the registry has noticed that the client is gone."""
    for _ in range(20):
        answer = session.ask()
        if answer.status == 204:
            break
        time.sleep(0.1)
    return answer


def _send_part(
    bench: Bench, method: str, target: str, headers: dict[str, str], declared: int, data: bytes
) -> None:
    """Announce more bytes than are sent, then hang up."""
    with RawConnection(bench.wire) as connection:
        connection.begin(method, target, {**headers, "Content-Length": str(declared)})
        connection.send_until_answered(data)
        connection.cut()


@rule(
    "push/interrupted",
    "end-13",
    Level.TRAP,
    "an upload cut off in a PATCH tells how far it came, and goes on from there",
    named({"at its first byte": 0, "early": 10, "late": 90_000, "at its last byte": 99_999}),
    algorithms,
)
def patch_cut(bench: Bench, arrived: int, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(100_000)
    session = repository.begin()
    span = {"Content-Type": "application/octet-stream", "Content-Range": f"0-{len(data) - 1}"}
    _send_part(bench, "PATCH", session.location, span, len(data), data[:arrived])
    answer = status(_state_after_cut(session), 204)
    found = re.fullmatch(r"0-(\d+)", answer.header("Range") or "0-0")
    holds(
        answer,
        found is not None and int(found[1]) <= max(arrived, 1),
        f"a Range of at most the {arrived} bytes sent",
    )
    assert found
    offset = int(found[1]) + 1 if int(found[1]) else 0
    if offset == 0 and arrived:  # 0-0 is no byte or one: only the registry knows
        session.patch(data[:1], 0)  # 202 if it had none, 416 if it had this one
        offset = 1
    answer = session.patch(data[offset:], offset)
    if answer.status == 416:  # what had arrived was still being written, perhaps by another process
        offset = int((answer.header("Range") or "0-0").partition("-")[2]) + 1
        answer = session.patch(data[offset:], offset)
    status(answer, 202)
    digest = digest_of(data, algorithm)
    status(session.close(digest), 201)
    body(status(repository.blob(digest), 200), data)


@rule("push/interrupted", "end-6", Level.MUST, "a blob cut off in its PUT does not come to be", algorithms)
def put_cut(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(100_000)
    repository.push_blob(bench.source.blob(4))
    digest = digest_of(data, algorithm)
    session = repository.begin()
    target = with_query(session.location, "digest", digest)
    _send_part(bench, "PUT", target, {"Content-Type": "application/octet-stream"}, len(data), data[:60_000])
    status(repository.blob(digest), 404)
    status(repository.blob(digest_of(data[:60_000], algorithm)), 404)
    repository.push_blob(data, algorithm)
    body(status(repository.blob(digest), 200), data)


@rule("push/interrupted", "end-7", Level.MUST, "a manifest cut off in its PUT does not come to be")
def manifest_cut(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    target, kind = repository.path("manifests/cut"), {"Content-Type": OCI_IMAGE}
    _send_part(bench, "PUT", target, kind, len(made.body), made.body[:-1])
    for reference in ("cut", made.digest):
        status(repository.manifest(reference), 404)


@rule("push/interrupted", "end-6", Level.TRAP, "a client that waits for 100 Continue, as curl does, can push")
def expect_continue(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(2_000_000)
    digest = digest_of(data)
    target = with_query(repository.begin().location, "digest", digest)
    with RawConnection(bench.wire) as connection:
        request = connection.begin(
            "PUT", target, {"Content-Length": str(len(data)), "Expect": "100-continue"}
        )
        connection.answering(2.0)  # the 100 itself is skipped where the final answer is read
        connection.socket.sendall(data)
        status(connection.answer(request), 201)
    body(status(repository.blob(digest), 200), data)


@rule("http", "end-7", Level.TRAP, "after a request that is turned down the connection is in step, or closed")
def in_step(bench: Bench) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, "after")
    with RawConnection(bench.wire) as connection:
        head = {"Content-Type": OCI_IMAGE, "Content-Length": "100000"}
        first = connection.begin("PUT", repository.path("manifests/.bad"), head)
        connection.send_until_answered(b"x" * 100_000)
        refused(connection.answer(first), "the tag is malformed")
        try:
            second = connection.begin(
                "GET", repository.path(f"manifests/{made.digest}"), {"Accept": OCI_IMAGE}
            )
            if not connection.answering(5.0) or not connection.socket.recv(1, socket.MSG_PEEK):
                return
        except OSError:
            return
        body(status(connection.answer(second), 200), made.body)
