"""The list of tags (end-8a)."""

from ..bench import Bench
from ..exchange import Exchange
from ..expect import document, holds, listed, status
from ..manifest import image
from ..plan import Level
from ..repository import Repository
from ..rule import each, rule


def tags_of(answer: Exchange) -> list[str]:
    """The tags in an answer of 200."""
    return [str(tag) for tag in listed(answer, document(status(answer, 200)).get("tags"), "tags")]


def in_order(tags: list[str]) -> bool:
    """Whether tags are sorted, capitals apart or not: registries differ, and the main branch allows both."""
    return tags in (
        sorted(tags),
        sorted(tags, key=lambda tag: (tag.lower(), tag)),
        sorted(tags, key=str.lower),
    )


def tagged(bench: Bench, tags: list[str]) -> Repository:
    """A repository with these tags, all of one manifest."""
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    for tag in tags:
        status(repository.offer(made, tag), 201)
    return repository


@rule("discovery/tags", "end-8a", Level.MUST, "the list is 200 with the repository's name and its tags")
def listing(bench: Bench) -> None:
    repository = tagged(bench, ["beta", "alpha", "gamma"])
    answer = status(repository.tags(), 200)
    holds(
        answer,
        document(answer).get("name") == repository.name,
        f"name: {repository.name}",
        answer.body.decode(),
    )
    holds(answer, tags_of(answer) == ["alpha", "beta", "gamma"], "alpha, beta, gamma", answer.body.decode())


@rule(
    "discovery/tags",
    "end-8a",
    Level.MUST,
    "tags are in order",
    each("a b c", "1 10 2 20", "B a C b", "v1.0 v1.0-rc v1-0 v1_0", "Z a _ 0 z A", "1.0 1.0.0 1.0-a"),
)
def order(bench: Bench, tags: str) -> None:
    answer = tagged(bench, tags.split()[::-1]).tags()
    found = tags_of(answer)
    holds(answer, in_order(found), "lexical or ASCII order", str(found))
    holds(answer, sorted(found) == sorted(tags.split()), f"the tags {tags}", str(found))


@rule("discovery/tags", "end-8a", Level.TRAP, "the list is JSON by its Content-Type")
def content_type(bench: Bench) -> None:
    answer = status(tagged(bench, ["one"]).tags(), 200)
    holds(answer, (answer.header("Content-Type") or "").startswith("application/json"), "application/json")


@rule("discovery/tags", "end-8a", Level.SHOULD, "the tags of an unknown repository are 404")
def unknown_repository(bench: Bench) -> None:
    status(bench.repository().tags(), 404)


@rule("discovery/tags", "end-8a", Level.MUST, "a repository whose manifests have no tags has an empty list")
def untagged(bench: Bench) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"))
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") in ([], None), "an empty list of tags", answer.body.decode())


@rule("discovery/tags", "end-8a", Level.TRAP, "an empty list is [], not null")
def empty_is_a_list(bench: Bench) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"))
    answer = status(repository.tags(), 200)
    holds(answer, document(answer).get("tags") == [], "tags: []", answer.body.decode())


@rule("discovery/tags", "end-8a", Level.MUST, "a tag is listed as soon as it is pushed")
def at_once(bench: Bench) -> None:
    repository, pushed = bench.repository(), []
    for number in range(5):
        repository.push(image(bench.source, "sha256"), f"n{number}")
        pushed.append(f"n{number}")
        answer = repository.tags()
        holds(answer, tags_of(answer) == pushed, f"{pushed}", answer.body.decode())


@rule("discovery/tags", "end-8a", Level.MUST, "tags of one repository are none of another's")
def apart(bench: Bench) -> None:
    first, second = tagged(bench, ["here"]), tagged(bench, ["there"])
    for repository, tag in ((first, "here"), (second, "there")):
        answer = repository.tags()
        holds(answer, tags_of(answer) == [tag], f"only {tag}", answer.body.decode())
