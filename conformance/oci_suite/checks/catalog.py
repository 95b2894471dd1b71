"""The list of repositories: not in the specification, but expected by many tools (docker's API)."""

from ..bench import Bench
from ..exchange import Exchange
from ..expect import document, holds, listed, status
from ..manifest import image
from ..plan import Level
from ..repository import Repository
from ..rule import Skip, named, rule
from ..wire import next_link


def _catalog(bench: Bench, query: str = "") -> Exchange:
    answer = bench.wire.send("GET", f"/v2/_catalog{query}")
    if answer.status in (401, 403, 404, 405):
        raise Skip(f"the registry has no _catalog ({answer.status}), as it may")
    return status(answer, 200)


def _names(answer: Exchange) -> list[str]:
    return [str(name) for name in listed(answer, document(answer).get("repositories"), "repositories")]


def _three(bench: Bench) -> list[Repository]:
    made = [bench.repository() for _ in range(3)]
    for repository in made:
        repository.push(image(bench.source, "sha256"), "here")
    return made


def _walk(bench: Bench, answer: Exchange, wanted: set[str]) -> list[str]:
    """The names on the pages up to the last of those wanted."""
    found = _names(answer)
    while not wanted <= set(found) and (link := next_link(answer)) is not None:
        answer = status(bench.wire.send("GET", link), 200)
        found += _names(answer)
    return found


@rule("catalog", "_catalog", Level.TRAP, "a repository is listed once something was pushed to it")
def listed_there(bench: Bench) -> None:
    _catalog(bench, "?n=1")
    first, *rest = sorted(repository.name for repository in _three(bench))
    wanted = set(rest)
    answer = _catalog(bench, f"?n=1000&last={first}")
    found = _walk(bench, answer, wanted)
    holds(answer, wanted <= set(found), f"{sorted(wanted)} among the repositories", f"{len(found)} others")


@rule(
    "catalog",
    "_catalog",
    Level.TRAP,
    "pages are no longer than asked, and hold each repository once",
    named({str(n): n for n in (50, 333)}),
)
def pages(bench: Bench, count: int) -> None:
    _catalog(bench, "?n=1")
    first, *rest = sorted(repository.name for repository in _three(bench))
    wanted = set(rest)
    answer = _catalog(bench, f"?n={count}&last={first}")
    holds(answer, len(_names(answer)) <= count, f"at most {count} repositories", f"{len(_names(answer))}")
    found = _walk(bench, answer, wanted)
    holds(
        answer,
        len(set(found)) == len(found),
        "no repository twice",
        f"{len(found) - len(set(found))} repeated",
    )
    holds(answer, wanted <= set(found), "the repositories pushed to", "other repositories")


@rule("catalog", "_catalog", Level.TRAP, "last begins the list after a repository")
def after(bench: Bench) -> None:
    _catalog(bench, "?n=1")
    first, second, _ = sorted(repository.name for repository in _three(bench))
    answer = _catalog(bench, f"?n=2&last={first}")
    found = _names(answer)
    next_one = bool(found) and first < found[0] <= second
    holds(answer, next_one, f"what is next after {first}, {second} at the latest", str(found))
