"""Pulling blobs, and asking whether they are there (end-2)."""

from ..bench import Bench
from ..digests import digest_of, matches
from ..expect import body, header, holds, present, status
from ..plan import Level, Profile
from ..rule import Skip, algorithms, named, rule

SIZES = named({"empty": 0, "1-byte": 1, "1000-bytes": 1000, "1-MiB": 1024 * 1024})


@rule("pull/blobs", "end-2", Level.MUST, "GET of a blob is 200 with its bytes", SIZES, algorithms)
def get_blob(bench: Bench, size: int, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(size)
    answer = repository.blob(repository.push_blob(data, algorithm))
    body(status(answer, 200), data)
    holds(answer, answer.header("Content-Length") in (None, str(size)), f"Content-Length: {size}")


@rule("pull/blobs", "end-2", Level.MUST, "HEAD of a blob is 200 without a body", SIZES, algorithms)
def head_blob(bench: Bench, size: int, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(size)
    body(status(repository.blob(repository.push_blob(data, algorithm), "HEAD"), 200), b"")


@rule("pull/head", "end-2", Level.SHOULD, "HEAD of a blob tells its size", SIZES, algorithms, dev=Level.MUST)
def head_blob_length(bench: Bench, size: int, algorithm: str) -> None:
    repository = bench.repository()
    answer = repository.blob(repository.push_blob(bench.source.blob(size), algorithm), "HEAD")
    header(status(answer, 200), "Content-Length", str(size))


@rule(
    "pull/head",
    "end-2",
    Level.SHOULD,
    "GET and HEAD of a blob tell its digest in Docker-Content-Digest",
    named({"GET": "GET", "HEAD": "HEAD"}),
    algorithms,
    dev=Level.MUST,
)
def blob_digest_header(bench: Bench, method: str, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(100)
    answer = status(repository.blob(repository.push_blob(data, algorithm), method), 200)
    digest = present(answer, "Docker-Content-Digest")
    holds(answer, matches(data, digest), "a Docker-Content-Digest that is one of the bytes' digests")


@rule("pull/head", "end-2", Level.SHOULD, "GET and HEAD of a blob tell the same of it", algorithms)
def blob_head_is_get(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    digest = repository.push_blob(bench.source.blob(4000), algorithm)
    got, head = status(repository.blob(digest), 200), status(repository.blob(digest, "HEAD"), 200)
    for name in ("Content-Type", "Docker-Content-Digest", "ETag"):
        holds(head, head.header(name) == got.header(name), f"{name}: {got.header(name)} as GET has it")
    holds(head, head.header("Content-Length") in (None, "4000"), "Content-Length: 4000 as GET has it")


@rule(
    "pull/blobs",
    "end-2",
    Level.MUST,
    "a blob that is not there is 404",
    named({"GET": "GET", "HEAD": "HEAD"}),
    named({"in a repository with blobs": True, "in an unknown repository": False}),
    algorithms,
)
def missing_blob(bench: Bench, method: str, known: bool, algorithm: str) -> None:
    repository = bench.repository()
    if known:
        repository.push_blob(bench.source.blob(10))
    status(repository.blob(bench.source.absent(algorithm), method), 404)


@rule("pull/blobs", "end-2", Level.MUST, "the well-known blob {} can be pushed and pulled", algorithms)
def empty_json(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    body(status(repository.blob(repository.push_blob(b"{}", algorithm)), 200), b"{}")


@rule("pull/blobs", "end-2", Level.TRAP, "a digest is understood with its colon percent-encoded", algorithms)
def encoded_colon(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(33)
    digest = repository.push_blob(data, algorithm)
    body(status(repository.blob(digest.replace(":", "%3A")), 200), data)


@rule("pull/blobs", "end-2", Level.TRAP, "If-None-Match with the ETag that was sent is 304 without a body")
def not_modified(bench: Bench) -> None:
    repository = bench.repository()
    digest = repository.push_blob(bench.source.blob(90))
    etag = status(repository.blob(digest), 200).header("ETag")
    if etag is None:
        raise Skip("the registry sends no ETag with blobs, as it may")
    body(status(repository.blob(digest, headers={"If-None-Match": etag}), 304), b"")


@rule("pull/blobs", "end-2", Level.TRAP, "If-None-Match with another ETag is a full answer")
def modified(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(90)
    digest = repository.push_blob(data)
    other = f'"{digest_of(b"another")}"'
    body(status(repository.blob(digest, headers={"If-None-Match": other}), 200), data)


@rule("pull/blobs", "proxying", Level.SHOULD, "a registry that is no proxy ignores ns", since=Profile.DEV)
def namespace_ignored(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(50)
    digest = repository.push_blob(data)
    host = bench.wire.url.split("/")[2]
    body(status(repository.blob(f"{digest}?ns={host}"), 200), data)
