"""Deleting tags (end-9)."""

from ..bench import Bench
from ..expect import body, document, holds, status
from ..kinds import KINDS, Maker
from ..manifest import image
from ..plan import Level
from ..rule import each, named, rule


@rule(
    "management/tags", "end-9", Level.MUST, "a tag's DELETE is 202, and the tag is 404 at once", named(KINDS)
)
def delete(bench: Bench, make: Maker) -> None:
    bench.need_delete("tag")
    repository, made = bench.repository(), make(bench.source, "sha256")
    repository.push(made, "gone")
    status(repository.manifest("gone", "DELETE"), 202)
    for method in ("GET", "HEAD"):
        status(repository.manifest("gone", method), 404)


@rule("management/tags", "end-9", Level.TRAP, "other tags of the manifest stay, and so does the manifest")
def others_stay(bench: Bench) -> None:
    bench.need_delete("tag")
    repository, made = bench.repository(), image(bench.source, "sha256")
    for tag in ("gone", "stays"):
        repository.push(made, tag)
    status(repository.manifest("gone", "DELETE"), 202)
    for reference in ("stays", made.digest):
        body(status(repository.manifest(reference), 200), made.body)


@rule("management/tags", "end-8a", Level.MUST, "a deleted tag is not listed")
def not_listed(bench: Bench) -> None:
    bench.need_delete("tag")
    repository, made = bench.repository(), image(bench.source, "sha256")
    for tag in ("gone", "stays"):
        repository.push(made, tag)
    status(repository.manifest("gone", "DELETE"), 202)
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") == ["stays"], 'tags: ["stays"]', answer.body.decode())


@rule(
    "management/tags",
    "end-9",
    Level.SHOULD,
    "deleting a tag that is not there is 404",
    each("never was", "deleted already"),
)
def missing(bench: Bench, case: str) -> None:
    bench.need_delete("tag")
    repository, made = bench.repository(), image(bench.source, "sha256")
    for tag in ("other", "gone"):
        repository.push(made, tag)
    if case == "deleted already":
        status(repository.manifest("gone", "DELETE"), 202)
    status(repository.manifest("gone" if case == "deleted already" else "never", "DELETE"), 404)


@rule("management/tags", "end-9", Level.SHOULD, "deleting a tag of an unknown repository is 404")
def unknown_repository(bench: Bench) -> None:
    bench.need_delete("tag")
    status(bench.repository().manifest("latest", "DELETE"), 404)


@rule("management/tags", "end-7", Level.MUST, "a deleted tag can be pushed again, to another manifest")
def pushed_again(bench: Bench) -> None:
    bench.need_delete("tag")
    repository, old, new = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    repository.push(old, "again")
    status(repository.manifest("again", "DELETE"), 202)
    repository.push(new, "again")
    body(status(repository.manifest("again"), 200), new.body)
