"""Deleting manifests by digest (end-9)."""

from ..bench import Bench
from ..expect import body, document, holds, status
from ..kinds import ALL_KINDS, Maker
from ..manifest import image, index
from ..plan import Level
from ..rule import Skip, algorithms, each, named, rule


@rule(
    "management/manifests",
    "end-9",
    Level.MUST,
    "a manifest's DELETE is 202, and it is 404 at once",
    named(ALL_KINDS),
    algorithms,
)
def delete(bench: Bench, make: Maker, algorithm: str) -> None:
    bench.need_delete("manifest")
    repository, made = bench.repository(), make(bench.source, algorithm)
    repository.push(made)
    status(repository.manifest(made.digest, "DELETE"), 202)
    for method in ("GET", "HEAD"):
        status(repository.manifest(made.digest, method), 404)


@rule(
    "management/manifests",
    "end-9",
    Level.MUST,
    "all tags of a deleted manifest are 404 at once, and not listed",
)
def tags_go(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, gone, stays = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    for tag in ("one", "two", "three"):
        repository.push(gone, tag)
    repository.push(stays, "stays")
    status(repository.manifest(gone.digest, "DELETE"), 202)
    for tag in ("one", "two", "three"):
        status(repository.manifest(tag), 404)
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") == ["stays"], 'tags: ["stays"]', answer.body.decode())


@rule(
    "management/manifests",
    "end-9",
    Level.MUST,
    "deleting one manifest leaves the others, and tags that moved on",
)
def others_stay(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, old, new = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    repository.push(old, "moving")
    repository.push(new, "moving")
    # 404: the registry may have let go of what no tag names any more
    status(repository.manifest(old.digest, "DELETE"), 202, 404)
    for reference in ("moving", new.digest):
        body(status(repository.manifest(reference), 200), new.body)


@rule(
    "management/manifests",
    "end-9",
    Level.SHOULD,
    "deleting a manifest that is not there is 404",
    each("never was", "deleted already"),
    algorithms,
)
def missing(bench: Bench, case: str, algorithm: str) -> None:
    bench.need_delete("manifest")
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push(image(bench.source, "sha256"), "other")
    digest = bench.source.absent(algorithm)
    if case == "deleted already":
        repository.push(made)
        digest = made.digest
        status(repository.manifest(digest, "DELETE"), 202)
    status(repository.manifest(digest, "DELETE"), 404)


@rule("management/manifests", "end-9", Level.MUST, "deleting from an unknown repository is 404")
def unknown_repository(bench: Bench) -> None:
    bench.need_delete("manifest")
    status(bench.repository().manifest(bench.source.absent(), "DELETE"), 404)


@rule("management/manifests", "end-7", Level.MUST, "a deleted manifest can be pushed again", algorithms)
def pushed_again(bench: Bench, algorithm: str) -> None:
    bench.need_delete("manifest")
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push(made)
    status(repository.manifest(made.digest, "DELETE"), 202)
    repository.push(made)
    body(status(repository.manifest(made.digest), 200), made.body)


@rule(
    "management/manifests",
    "end-9",
    Level.MUST,
    "a DELETE does what its answer says, also of an index's child",
    algorithms,
)
def child_of_index(bench: Bench, algorithm: str) -> None:
    bench.need_delete("manifest")
    repository, child = bench.repository(), image(bench.source, algorithm)
    repository.push(index(algorithm, [child]), "parent")
    answer = repository.manifest(child.digest, "DELETE")
    status(answer, 202, 400, 403, 405, 409)
    status(repository.manifest(child.digest), 404 if answer.status == 202 else 200)


@rule("management/manifests", "end-9", Level.MUST, "deleting an index leaves its children")
def children_stay(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, child = bench.repository(), image(bench.source, "sha256")
    parent = index("sha256", [child])
    repository.push(parent, "parent")
    repository.push(child, "child")
    status(repository.manifest(parent.digest, "DELETE"), 202)
    body(status(repository.manifest("child"), 200), child.body)
    for data in child.blobs:
        body(status(repository.blob(repository.push_blob(data)), 200), data)


@rule(
    "management/manifests",
    "end-9",
    Level.TRAP,
    "blobs that another manifest uses stay when a manifest is deleted",
)
def shared_blobs_stay(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, layers = bench.repository(), [("application/x", bench.source.blob(50))]
    first, second = (image(bench.source, "sha256", layers=layers) for _ in range(2))
    for made in (first, second):
        repository.push(made)
    status(repository.manifest(first.digest, "DELETE"), 202)
    answer = repository.manifest(second.digest)
    body(status(answer, 200), second.body)
    digest = document(answer)["layers"][0]["digest"]
    body(status(repository.blob(digest), 200), layers[0][1])


@rule(
    "management/manifests",
    "end-9",
    Level.TRAP,
    "a deleted manifest of another repository with the same bytes stays",
)
def elsewhere_stays(bench: Bench) -> None:
    bench.need_delete("manifest")
    first, second, made = bench.repository(), bench.repository(), image(bench.source, "sha256")
    for repository in (first, second):
        repository.push(made, "same")
    if first.manifest(made.digest, "DELETE").status != 202:
        raise Skip("the registry does not delete a manifest that another repository has")
    body(status(second.manifest("same"), 200), made.body)
