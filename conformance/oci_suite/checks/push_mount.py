"""Mounting blobs from one repository into another (end-11)."""

from urllib.parse import urljoin

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import body, present, refused, status
from ..plan import Level
from ..repository import Repository
from ..rule import Skip, algorithms, each, named, rule
from ..session import Session


def _mount(repository: Repository, digest: str, source: str | None) -> Exchange:
    return repository.post_upload(f"?mount={digest}" + (f"&from={source}" if source is not None else ""))


def _complete(repository: Repository, answer: Exchange, data: bytes, digest: str) -> None:
    """Whether it was mounted or not, the blob can be had in the end."""
    if answer.status == 202:
        status(
            Session(repository.wire, answer).close(digest, data),
            201,
            why="the upload that a mount fell back to",
        )
    body(status(repository.blob(digest), 200), data)


@rule(
    "push/mount",
    "end-11",
    Level.MUST,
    "a mount is 201 with the blob in place, or 202 with an upload to go on with",
    named({"a blob": 500, "an empty blob": 0}),
    algorithms,
)
def mount(bench: Bench, size: int, algorithm: str) -> None:
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(size)
    digest = source.push_blob(data, algorithm)
    answer = status(_mount(target, digest, source.name), 201, 202)
    present(answer, "Location")
    _complete(target, answer, data, digest)


@rule("push/mount", "end-11", Level.MUST, "the Location of a mounted blob can be pulled", algorithms)
def location(bench: Bench, algorithm: str) -> None:
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(500)
    answer = status(_mount(target, source.push_blob(data, algorithm), source.name), 201, 202)
    if answer.status == 202:
        raise Skip("the registry begins an upload instead of mounting, as it may")
    url = urljoin(answer.request.target, present(answer, "Location"))
    body(status(bench.wire.send("GET", url), 200), data)


@rule("push/mount", "end-11", Level.MUST, "without from, a mount is 201 or 202", algorithms)
def without_from(bench: Bench, algorithm: str) -> None:
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(500)
    digest = source.push_blob(data, algorithm)
    _complete(target, status(_mount(target, digest, None), 201, 202), data, digest)


@rule(
    "push/mount",
    "end-11",
    Level.SHOULD,
    "what cannot be mounted is 202, an upload to go on with",
    each("blob nowhere", "blob not in from", "from unknown", "blob nowhere, no from", "from itself"),
    algorithms,
)
def fallback(bench: Bench, case: str, algorithm: str) -> None:
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(500)
    source.push_blob(bench.source.blob(5))
    digest = digest_of(data, algorithm)
    origin: str | None = source.name
    if case == "blob not in from":
        bench.repository().push_blob(data, algorithm)
    elif case == "from unknown":
        origin = bench.repository().name
    elif case == "blob nowhere, no from":
        origin = None
    elif case == "from itself":
        target.push_blob(bench.source.blob(5))
        origin = target.name
    answer = status(_mount(target, digest, origin), 202, *((201,) if case == "blob not in from" else ()))
    _complete(target, answer, data, digest)


@rule("push/mount", "end-11", Level.SHOULD, "a mount of what is there already is 201 or 202", algorithms)
def already_there(bench: Bench, algorithm: str) -> None:
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(500)
    digest = source.push_blob(data, algorithm)
    target.push_blob(data, algorithm)
    _complete(target, status(_mount(target, digest, source.name), 201, 202), data, digest)


@rule("push/mount", "end-11", Level.MUST, "a mount makes nothing else of the source visible", algorithms)
def only_the_blob(bench: Bench, algorithm: str) -> None:
    source, target = bench.repository(), bench.repository()
    other = source.push_blob(bench.source.blob(500), algorithm)
    data = bench.source.blob(400)
    digest = source.push_blob(data, algorithm)
    _complete(target, status(_mount(target, digest, source.name), 201, 202), data, digest)
    status(target.blob(other), 404)


@rule("push/mount", "end-11", Level.MUST, "a mounted blob outlives its deletion from the source", algorithms)
def outlives_source(bench: Bench, algorithm: str) -> None:
    bench.need_delete("blob")
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(500)
    digest = source.push_blob(data, algorithm)
    _complete(target, status(_mount(target, digest, source.name), 201, 202), data, digest)
    if source.blob(digest, "DELETE").status != 202:
        raise Skip("the registry keeps a blob that another repository has; delete-blobs tells")
    body(status(target.blob(digest), 200), data)


@rule(
    "push/mount",
    "end-11",
    Level.TRAP,
    "a mount of a malformed digest begins an upload or is turned down",
    each("sha256:abc", "nonsense", "sha256:../../x", ""),
)
def malformed(bench: Bench, digest: str) -> None:
    source, target = bench.repository(), bench.repository()
    source.push_blob(bench.source.blob(5))
    answer = _mount(target, digest, source.name)
    if answer.status == 202:
        present(answer, "Location")
    else:
        refused(answer, "the digest is malformed")
