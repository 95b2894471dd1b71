"""Every kind of manifest, pushed and pulled by tag and by digest, in every algorithm (end-3, end-7)."""

from urllib.parse import urljoin

from ..bench import Bench
from ..digests import matches
from ..expect import body, header, holds, present, status
from ..kinds import ALL_KINDS, Maker
from ..manifest import Manifest
from ..plan import Level
from ..repository import Repository
from ..rule import algorithms, each, named, rule

EVERY_KIND = named(ALL_KINDS)
REFERENCES = each("by tag", "by digest")


def _push(bench: Bench, make: Maker, reference: str, algorithm: str) -> tuple[Repository, Manifest, str]:
    repository, made = bench.repository(), make(bench.source, algorithm)
    name = "a-tag" if reference == "by tag" else made.digest
    repository.push(made, name)
    return repository, made, name


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "a manifest is 201 with a Location that can be pulled",
    EVERY_KIND,
    REFERENCES,
    algorithms,
)
def push(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, made = bench.repository(), make(bench.source, algorithm)
    repository.push_content(made)
    name = "a-tag" if reference == "by tag" else made.digest
    answer = status(repository.offer(made, name), 201)
    location = urljoin(answer.request.target, present(answer, "Location"))
    body(status(bench.wire.send("GET", location, headers={"Accept": made.media_type}), 200), made.body)


@rule(
    "push/manifests",
    "end-7",
    Level.MUST,
    "a digest told at the push is the manifest's",
    EVERY_KIND,
    REFERENCES,
    algorithms,
)
def push_digest(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, made = bench.repository(), make(bench.source, algorithm)
    repository.push_content(made)
    name = "a-tag" if reference == "by tag" else made.digest
    answer = status(repository.offer(made, name), 201)
    digest = answer.header("Docker-Content-Digest")
    if reference == "by digest":
        holds(answer, digest in (None, made.digest), f"Docker-Content-Digest: {made.digest}")
    else:
        holds(answer, digest is None or matches(made.body, digest), "a digest of the manifest's bytes")


@rule("push/manifests", "end-7", Level.SHOULD, "the push tells the digest", REFERENCES, algorithms)
def push_tells_digest(bench: Bench, reference: str, algorithm: str) -> None:
    repository, made = bench.repository(), ALL_KINDS["image"](bench.source, algorithm)
    repository.push_content(made)
    name = "a-tag" if reference == "by tag" else made.digest
    present(status(repository.offer(made, name), 201), "Docker-Content-Digest")


@rule(
    "pull/manifests",
    "end-3",
    Level.MUST,
    "GET is 200 with exactly the bytes pushed",
    EVERY_KIND,
    REFERENCES,
    algorithms,
)
def pull(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, made, name = _push(bench, make, reference, algorithm)
    body(status(repository.manifest(name), 200), made.body)


@rule(
    "pull/manifests",
    "end-3",
    Level.SHOULD,
    "the Content-Type is the one pushed",
    EVERY_KIND,
    REFERENCES,
    algorithms,
)
def content_type(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, made, name = _push(bench, make, reference, algorithm)
    answer = status(repository.manifest(name), 200)
    sent = present(answer, "Content-Type").split(";")[0].strip()
    holds(answer, sent == made.media_type, f"Content-Type: {made.media_type}")


@rule("pull/head", "end-3", Level.MUST, "HEAD is 200 without a body", EVERY_KIND, REFERENCES, algorithms)
def head(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, _, name = _push(bench, make, reference, algorithm)
    body(status(repository.manifest(name, "HEAD"), 200), b"")


@rule("pull/head", "end-3", Level.SHOULD, "HEAD tells what GET tells", EVERY_KIND, REFERENCES, algorithms)
def head_is_get(bench: Bench, make: Maker, reference: str, algorithm: str) -> None:
    repository, _, name = _push(bench, make, reference, algorithm)
    got, answer = status(repository.manifest(name), 200), status(repository.manifest(name, "HEAD"), 200)
    for field in ("Content-Type", "Docker-Content-Digest", "ETag"):
        holds(
            answer, answer.header(field) == got.header(field), f"{field}: {got.header(field)} as GET has it"
        )
    if answer.header("Content-Length") is not None:
        header(answer, "Content-Length", str(len(got.body)))


@rule("pull/manifests", "end-3", Level.MUST, "what was pushed by tag can be pulled by digest", EVERY_KIND)
def pull_by_other(bench: Bench, make: Maker) -> None:
    repository, made, _ = _push(bench, make, "by tag", "sha256")
    body(status(repository.manifest(made.digest), 200), made.body)


@rule("push/manifests", "end-7", Level.MUST, "pushing the same manifest again is 201", EVERY_KIND, REFERENCES)
def push_again(bench: Bench, make: Maker, reference: str) -> None:
    repository, made, name = _push(bench, make, reference, "sha256")
    status(repository.offer(made, name), 201)
    body(status(repository.manifest(name), 200), made.body)


@rule(
    "push/manifests",
    "docker schema 2",
    Level.TRAP,
    "Docker manifests, which many clients push, are stored",
    each("docker-image", "docker-list"),
)
def docker(bench: Bench, kind: str) -> None:
    repository, made = bench.repository(), ALL_KINDS[kind](bench.source, "sha256")
    for child in made.children:
        repository.push_content(child)
        status(repository.put_manifest(child.digest, child.media_type, child.body), 201)
    for data in made.blobs:
        repository.push_blob(data)
    status(repository.put_manifest("docker", made.media_type, made.body), 201)
