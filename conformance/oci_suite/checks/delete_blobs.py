"""Deleting blobs (end-10)."""

from ..bench import Bench
from ..expect import body, status
from ..manifest import image
from ..plan import Level
from ..rule import algorithms, each, named, rule


@rule(
    "management/blobs",
    "end-10",
    Level.MUST,
    "a blob's DELETE is 202, and it is 404 at once",
    named({"100-bytes": 100, "empty": 0, "1-MB": 1_000_000}),
    algorithms,
)
def delete(bench: Bench, size: int, algorithm: str) -> None:
    bench.need_delete("blob")
    repository = bench.repository()
    repository.push_blob(bench.source.blob(7))
    digest = repository.push_blob(bench.source.blob(size), algorithm)
    status(repository.blob(digest, "DELETE"), 202)
    for method in ("GET", "HEAD"):
        status(repository.blob(digest, method), 404)


@rule(
    "management/blobs",
    "end-10",
    Level.MUST,
    "a blob that another repository has too is deleted from this one",
    algorithms,
)
def shared(bench: Bench, algorithm: str) -> None:
    bench.need_delete("blob")
    first, second, data = bench.repository(), bench.repository(), bench.source.blob(300)
    for repository in (first, second):
        digest = repository.push_blob(data, algorithm)
    status(first.blob(digest, "DELETE"), 202)
    status(first.blob(digest), 404)
    body(status(second.blob(digest), 200), data)


@rule(
    "management/blobs",
    "end-10",
    Level.MUST,
    "deleting a blob that is not there is 404",
    each("never was", "deleted already", "unknown repository", "in another repository"),
    algorithms,
)
def missing(bench: Bench, case: str, algorithm: str) -> None:
    bench.need_delete("blob")
    repository, other = bench.repository(), bench.repository()
    digest = bench.source.absent(algorithm)
    if case != "unknown repository":
        repository.push_blob(bench.source.blob(7))
    if case == "deleted already":
        digest = repository.push_blob(bench.source.blob(70), algorithm)
        status(repository.blob(digest, "DELETE"), 202)
    elif case == "in another repository":
        digest = other.push_blob(bench.source.blob(70), algorithm)
    status(repository.blob(digest, "DELETE"), 404)


@rule("management/blobs", "end-10", Level.MUST, "a deleted blob can be pushed again", algorithms)
def pushed_again(bench: Bench, algorithm: str) -> None:
    bench.need_delete("blob")
    repository, data = bench.repository(), bench.source.blob(200)
    digest = repository.push_blob(data, algorithm)
    status(repository.blob(digest, "DELETE"), 202)
    repository.push_blob(data, algorithm)
    body(status(repository.blob(digest), 200), data)


@rule(
    "management/blobs",
    "end-10",
    Level.MUST,
    "a DELETE does what its answer says, also of a blob that a manifest uses",
    algorithms,
)
def used(bench: Bench, algorithm: str) -> None:
    bench.need_delete("blob")
    repository, layer = bench.repository(), bench.source.blob(80)
    made = image(bench.source, algorithm, layers=[("application/x", layer)])
    repository.push(made, "user")
    digest = repository.push_blob(layer, algorithm)
    answer = status(repository.blob(digest, "DELETE"), 202, 400, 403, 405, 409)
    status(repository.blob(digest), 404 if answer.status == 202 else 200)


@rule("management/blobs", "end-11", Level.MUST, "a deleted blob cannot be mounted from where it was")
def not_mountable(bench: Bench) -> None:
    bench.need_delete("blob")
    source, target, data = bench.repository(), bench.repository(), bench.source.blob(80)
    digest = source.push_blob(data)
    status(source.blob(digest, "DELETE"), 202)
    answer = target.post_upload(f"?mount={digest}&from={source.name}")
    status(answer, 202, why="the blob is gone")
    status(target.blob(digest), 404)
