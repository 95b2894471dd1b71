"""What is in one repository is not thereby in another (end-2, end-3, end-12a)."""

from ..bench import Bench
from ..digests import digest_of
from ..expect import status
from ..kinds import KINDS, Maker
from ..manifest import image
from ..plan import Level
from ..rule import algorithms, each, named, rule
from .referrers_list import lists

METHODS = each("GET", "HEAD")


@rule(
    "visibility",
    "end-2",
    Level.MUST,
    "a blob of another repository is 404",
    METHODS,
    each("known", "unknown"),
    algorithms,
)
def blob(bench: Bench, method: str, repository: str, algorithm: str) -> None:
    first, second = bench.repository(), bench.repository()
    digest = first.push_blob(bench.source.blob(100), algorithm)
    if repository == "known":
        second.push_blob(bench.source.blob(9))
    status(second.blob(digest, method), 404)


@rule(
    "visibility",
    "end-3",
    Level.MUST,
    "a manifest of another repository is 404",
    named(KINDS),
    each("by tag", "by digest"),
)
def manifest(bench: Bench, make: Maker, reference: str) -> None:
    first, second, made = bench.repository(), bench.repository(), make(bench.source, "sha256")
    first.push(made, "only-here")
    second.push(image(bench.source, "sha256"), "other")
    asked = "only-here" if reference == "by tag" else made.digest
    for method in ("GET", "HEAD"):
        status(second.manifest(asked, method), 404)


@rule("visibility", "end-2", Level.MUST, "a repository below another, or above it, is another", algorithms)
def nested(bench: Bench, algorithm: str) -> None:
    inner = bench.repository("/inner")
    outer = type(inner)(bench.wire, inner.name.removesuffix("/inner"))
    data = bench.source.blob(100)
    digest = inner.push_blob(data, algorithm)
    status(outer.blob(digest), 404)
    below = outer.push_blob(bench.source.blob(101), algorithm)
    status(inner.blob(below), 404)


@rule("visibility", "end-12a", Level.MUST, "referrers of another repository are not listed", algorithms)
def referrers(bench: Bench, algorithm: str) -> None:
    first, second, target = bench.repository(), bench.repository(), image(bench.source, algorithm)
    for repository in (first, second):
        repository.push(target)
    made = image(bench.source, algorithm, subject=target.descriptor())
    first.push(made)
    lists(bench, second.referrers(target.digest))
    lists(bench, first.referrers(target.digest), made)


@rule("visibility", "end-2", Level.MUST, "a blob is found only by a digest of its own", algorithms)
def own_digest(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(100)
    digest = repository.push_blob(data, algorithm)
    name, _, encoded = digest.partition(":")
    near = encoded[:-1] + ("0" if encoded[-1] != "0" else "1")
    status(repository.blob(f"{name}:{near}"), 404)
    other = "sha512" if algorithm != "sha512" else "sha256"
    answer = repository.blob(digest_of(data, other))
    status(answer, 200, 404, 400, why="the same bytes by another digest: found or not")
