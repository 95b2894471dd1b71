"""Pulling manifests, and asking whether they are there (end-3)."""

from ..bench import Bench
from ..digests import matches
from ..expect import body, header, holds, present, status
from ..kinds import KINDS, Maker
from ..manifest import ACCEPT, OCI_IMAGE, image
from ..plan import Level
from ..rule import Skip, algorithms, each, named, rule

METHODS = each("GET", "HEAD")


@rule(
    "pull/manifests",
    "end-3",
    Level.MUST,
    "a manifest that is not there is 404",
    METHODS,
    each("by tag", "by sha256", "by sha512", "by blake3"),
)
def missing_manifest(bench: Bench, method: str, reference: str) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"), "present")
    asked = "absent" if reference == "by tag" else bench.source.absent(reference.removeprefix("by "))
    # a digest of an algorithm that the registry does not know is also a bad request
    status(
        repository.manifest(asked, method),
        *((404, 400) if reference in ("by sha512", "by blake3") else (404,)),
    )


@rule(
    "pull/manifests",
    "end-3",
    Level.MUST,
    "pulling from a repository that does not exist is 404",
    METHODS,
    each("by tag", "by digest"),
)
def unknown_repository(bench: Bench, method: str, reference: str) -> None:
    asked = "latest" if reference == "by tag" else bench.source.absent()
    status(bench.repository().manifest(asked, method), 404)


@rule("pull/manifests", "end-3", Level.MUST, "a blob that was not pushed as a manifest is none", METHODS)
def blob_is_no_manifest(bench: Bench, method: str) -> None:
    repository = bench.repository()
    made = image(bench.source, "sha256")
    repository.push(made, "here")
    digest = repository.push_blob(bench.source.blob(100))
    status(repository.manifest(digest, method), 404)


@rule(
    "pull/head",
    "end-3",
    Level.SHOULD,
    "GET and HEAD of a manifest tell its digest in Docker-Content-Digest",
    METHODS,
    each("by tag", "by digest"),
    algorithms,
    dev=Level.MUST,
)
def digest_header(bench: Bench, method: str, reference: str, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push(made, "one")
    repository.push(made)
    answer = status(repository.manifest("one" if reference == "by tag" else made.digest, method), 200)
    digest = present(answer, "Docker-Content-Digest")
    holds(answer, matches(made.body, digest), "a Docker-Content-Digest that is one of the bytes' digests")


@rule(
    "pull/head",
    "end-3",
    Level.SHOULD,
    "HEAD of a manifest tells its size",
    named(KINDS),
    algorithms,
    dev=Level.MUST,
)
def head_length(bench: Bench, make: Maker, algorithm: str) -> None:
    repository, made = bench.repository(), make(bench.source, algorithm)
    repository.push(made)
    header(status(repository.manifest(made.digest, "HEAD"), 200), "Content-Length", str(len(made.body)))


@rule("pull/manifests", "end-3", Level.SHOULD, "the Content-Type has no parameters", METHODS, named(KINDS))
def no_parameters(bench: Bench, method: str, make: Maker) -> None:
    repository, made = bench.repository(), make(bench.source, "sha256")
    repository.push(made, "plain")
    header(status(repository.manifest("plain", method), 200), "Content-Type", made.media_type)


@rule(
    "pull/manifests",
    "end-3",
    Level.TRAP,
    "curl's Accept: */* gets the bytes that were pushed",
    each("image", "artifact", "index", "index-nested"),
)
def accept_anything(bench: Bench, kind: str) -> None:
    repository, made = bench.repository(), KINDS[kind](bench.source, "sha256")
    repository.push(made, "any")
    body(status(repository.manifest("any", headers={"Accept": "*/*"}), 200), made.body)


@rule(
    "pull/manifests",
    "end-3",
    Level.TRAP,
    "several Accept types in one header or with q-values are understood",
    each(ACCEPT, f"{OCI_IMAGE};q=0.9, application/json;q=0.1", f"application/json,{OCI_IMAGE}"),
)
def accept_forms(bench: Bench, accept: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, "any")
    body(status(repository.manifest("any", headers={"Accept": accept}), 200), made.body)


@rule(
    "pull/manifests",
    "end-3",
    Level.TRAP,
    "If-None-Match with the ETag that was sent is 304",
    each("by tag", "by digest"),
)
def not_modified(bench: Bench, reference: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push(made, "etag")
    asked = "etag" if reference == "by tag" else made.digest
    etag = status(repository.manifest(asked), 200).header("ETag")
    if etag is None:
        raise Skip("the registry sends no ETag with manifests, as it may")
    answer = repository.manifest(asked, headers={"Accept": ACCEPT, "If-None-Match": etag})
    body(status(answer, 304), b"")


@rule("pull/manifests", "end-3", Level.TRAP, "a tag that moved is not answered 304 for its old ETag")
def moved_is_modified(bench: Bench) -> None:
    repository, old, new = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    repository.push(old, "moving")
    etag = status(repository.manifest("moving"), 200).header("ETag")
    if etag is None:
        raise Skip("the registry sends no ETag with manifests, as it may")
    repository.push(new, "moving")
    answer = repository.manifest("moving", headers={"Accept": ACCEPT, "If-None-Match": etag})
    body(status(answer, 200), new.body)
