"""A push by digest with its tags as parameters (end-7b)."""

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import body, document, holds, refused, status
from ..kinds import KINDS, Maker
from ..manifest import Manifest, image
from ..plan import Level, Profile
from ..repository import Repository
from ..rule import Skip, algorithms, each, named, rule


def _push(repository: Repository, made: Manifest, tags: list[str]) -> Exchange:
    repository.push_content(made)
    query = "?" + "&".join(f"tag={tag}" for tag in tags)
    return repository.offer(made, query=query)


def _accepted(answer: Exchange) -> list[str]:
    return [tag.strip() for tag in (answer.header("OCI-Tag") or "").split(",") if tag.strip()]


def _need_support(bench: Bench) -> None:
    if not _accepted(status(_push(bench.repository(), image(bench.source, "sha256"), ["probe"]), 201)):
        raise Skip("the registry ignores ?tag= (no OCI-Tag), as it may; supported[one] tells")


@rule(
    "push/tag-parameter",
    "end-7b",
    Level.SHOULD,
    "tags given as parameters are put, each told in OCI-Tag",
    named({"one": 1, "three": 3, "ten": 10}),
    algorithms,
    since=Profile.DEV,
)
def supported(bench: Bench, count: int, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    tags = [f"tag-{number}" for number in range(count)]
    answer = status(_push(repository, made, tags), 201)
    holds(answer, sorted(_accepted(answer)) == sorted(tags), f"OCI-Tag for each of {', '.join(tags)}")
    for reference in (*tags, made.digest):
        body(status(repository.manifest(reference), 200), made.body)


@rule(
    "push/tag-parameter",
    "end-7b",
    Level.MUST,
    "every tag told in OCI-Tag is there, and no other",
    named(KINDS),
    since=Profile.DEV,
)
def told_is_true(bench: Bench, make: Maker) -> None:
    repository, made = bench.repository(), make(bench.source, "sha256")
    answer = status(_push(repository, made, ["b", "a"]), 201)
    listing = repository.tags()
    there = document(listing).get("tags") or [] if listing.status == 200 else []
    holds(
        listing, sorted(there) == sorted(_accepted(answer)), f"the tags told at the push: {_accepted(answer)}"
    )


@rule(
    "push/tag-parameter",
    "end-7b",
    Level.MUST,
    "a tag given as a parameter moves from where it was",
    since=Profile.DEV,
)
def moves(bench: Bench) -> None:
    _need_support(bench)
    repository, old, new = bench.repository(), image(bench.source, "sha256"), image(bench.source, "sha256")
    repository.push(old, "moving")
    status(_push(repository, new, ["moving", "other"]), 201)
    for tag in ("moving", "other"):
        body(status(repository.manifest(tag), 200), new.body)


@rule("push/tag-parameter", "end-7b", Level.MUST, "a tag given twice is one tag", since=Profile.DEV)
def twice(bench: Bench) -> None:
    _need_support(bench)
    repository, made = bench.repository(), image(bench.source, "sha256")
    status(_push(repository, made, ["same", "same"]), 201)
    listing = status(repository.tags(), 200)
    holds(listing, document(listing).get("tags") == ["same"], 'tags: ["same"]', listing.body[:200].decode())


@rule(
    "push/tag-parameter",
    "end-7b",
    Level.MUST,
    "a malformed tag is not put, nor told",
    each(".dot", "-dash", "a%20b", "a%2Fb", "t" * 129, "%C3%BC"),
    since=Profile.DEV,
)
def malformed(bench: Bench, tag: str) -> None:
    _need_support(bench)
    repository, made = bench.repository(), image(bench.source, "sha256")
    answer = _push(repository, made, ["good", tag])
    accepted = _accepted(answer) if answer.status == 201 else []
    if answer.status != 201:
        refused(answer, "a tag is malformed")
    holds(answer, set(accepted) <= {"good"}, "no OCI-Tag for the malformed tag")


@rule(
    "push/tag-parameter",
    "end-7b",
    Level.MUST,
    "tags are not put when the manifest is turned down",
    algorithms,
    since=Profile.DEV,
)
def refused_puts_none(bench: Bench, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    repository.push_content(made)
    other = digest_of(made.body + b" ", algorithm)
    refused(
        repository.put_manifest(other, made.media_type, made.body, "?tag=one&tag=two"),
        "the digest is another",
    )
    for tag in ("one", "two"):
        status(repository.manifest(tag), 404)
