"""Pages of the list of tags (end-8b)."""

from ..bench import Bench
from ..expect import holds, refused, status
from ..plan import Level
from ..repository import Repository
from ..rule import named, rule
from ..wire import next_link
from .tags_list import in_order, tagged, tags_of

TAGS = [f"t{number:02}" for number in range(23)]


def _full_page(repository: Repository, query: str, count: int, left: list[str]) -> None:
    """At most `count` of `left`, and fewer only with a Link or when there are no more."""
    answer = repository.tags(query)
    found = tags_of(answer)
    holds(
        answer,
        found == left[: len(found)] and len(found) <= count,
        f"the first {count} of {left}",
        str(found),
    )
    enough = len(found) == min(count, len(left)) or next_link(answer) is not None
    holds(answer, enough, f"{min(count, len(left))} tags, or a Link to more", str(found))


@rule(
    "discovery/tags",
    "end-8b",
    Level.MUST,
    "n limits the list from its beginning",
    named({str(n): n for n in (1, 2, 22, 23, 24, 1000)}),
)
def limit(bench: Bench, count: int) -> None:
    _full_page(tagged(bench, TAGS), f"?n={count}", count, TAGS)


@rule("discovery/tags", "end-8b", Level.MUST, "n=0 is an empty list without a Link")
def none(bench: Bench) -> None:
    answer = tagged(bench, TAGS[:3]).tags("?n=0")
    holds(answer, tags_of(answer) == [], "an empty list of tags", answer.body.decode())
    holds(answer, answer.header("Link") is None, "no Link")


@rule(
    "discovery/tags",
    "end-8b",
    Level.MUST,
    "last begins the list after a tag",
    named({str(n): n for n in (1, 5, 100)}),
    named({"first": 0, "middle": 11, "last but one": 21, "last": 22}),
)
def after(bench: Bench, count: int, place: int) -> None:
    _full_page(tagged(bench, TAGS), f"?n={count}&last={TAGS[place]}", count, TAGS[place + 1 :])


@rule("discovery/tags", "end-8b", Level.MUST, "last is understood without n")
def after_without_limit(bench: Bench) -> None:
    answer = tagged(bench, TAGS).tags(f"?last={TAGS[9]}")
    found = tags_of(answer)
    holds(answer, found == TAGS[10 : 10 + len(found)], f"the tags after {TAGS[9]}", str(found))
    holds(answer, len(found) == 13 or next_link(answer) is not None, "13 tags, or a Link to more", str(found))


@rule("discovery/tags", "end-8b", Level.TRAP, "last may be a tag that is not there any more")
def after_missing(bench: Bench) -> None:
    _full_page(tagged(bench, TAGS), "?n=4&last=t05a", 4, TAGS[6:])


@rule(
    "discovery/tags",
    "end-8b",
    Level.MUST,
    "pages by last hold each tag once",
    named({str(n): n for n in (1, 4, 7, 23)}),
)
def walk_by_last(bench: Bench, count: int) -> None:
    repository, found = tagged(bench, TAGS), list[str]()
    answer = repository.tags(f"?n={count}")
    while (page := tags_of(answer)) and len(found) <= len(TAGS):
        found += page
        answer = repository.tags(f"?n={count}&last={page[-1]}")
    holds(answer, found == TAGS, f"all of {TAGS}", str(found))


@rule(
    "discovery/tags",
    "end-8b",
    Level.MUST,
    "a Link, where there is one, leads to the next page",
    named({str(n): n for n in (1, 4, 7)}),
)
def walk_by_link(bench: Bench, count: int) -> None:
    answer = tagged(bench, TAGS).tags(f"?n={count}")
    found = tags_of(answer)
    if answer.header("Link") is None:
        return
    while (link := next_link(answer)) and len(found) <= len(TAGS):
        answer = bench.wire.send("GET", link)
        found += tags_of(answer)
    holds(answer, found == TAGS, f"all of {TAGS}", str(found))


@rule("discovery/tags", "end-8b", Level.MUST, "a Link after the last tag, if there is one, leads to no tags")
def end_of_links(bench: Bench) -> None:
    repository = tagged(bench, TAGS[:4])
    for query in ("?n=4", "?n=10", "?n=2&last=t01", ""):
        link = next_link(status(repository.tags(query), 200))
        if link is not None:
            answer = bench.wire.send("GET", link)
            holds(answer, tags_of(answer) == [], "no tags, as all were listed", answer.body.decode())


@rule("discovery/tags", "end-8b", Level.MUST, "pages with capitals and digits mixed hold each tag once")
def walk_mixed(bench: Bench) -> None:
    tags = ["B", "a", "C", "b", "_x", "1", "10", "2", "A.b", "a-b"]
    repository, found = tagged(bench, tags), list[str]()
    answer = repository.tags("?n=3")
    while (page := tags_of(answer)) and len(found) <= len(tags):
        found += page
        answer = repository.tags(f"?n=3&last={page[-1]}")
    holds(answer, sorted(found) == sorted(tags) and in_order(found), "each tag once, in order", str(found))


@rule(
    "discovery/tags",
    "end-8b",
    Level.TRAP,
    "an n that is no number is turned down or ignored",
    named({asked: asked for asked in ("-1", "abc", "1.5", "", "99999999999999999999")}),
)
def malformed(bench: Bench, asked: str) -> None:
    answer = tagged(bench, TAGS[:2]).tags(f"?n={asked}")
    if answer.status != 200:
        refused(answer, "n is no number of tags")
