"""The list of referrers, filtered by artifactType (end-12b)."""

from ..bench import Bench
from ..exchange import Exchange
from ..expect import document, header, holds, status
from ..kinds import REFERRERS
from ..manifest import OCI_INDEX, Manifest, image
from ..plan import Level
from ..repository import Repository
from ..rule import Skip, algorithms, each, named, rule
from .referrers_list import entries, lists

TYPES = named(
    {
        made: made
        for made in ("application/vnd.example.a", "application/vnd.example.b+json", "application/x.y_z-1")
    }
)


def _filled(bench: Bench, algorithm: str = "sha256") -> tuple[Repository, Manifest, list[Manifest]]:
    """A repository, a subject, and a referrer of every kind."""
    repository, target = bench.repository(), image(bench.source, algorithm)
    made = [make(bench.source, algorithm, target.descriptor()) for make in REFERRERS.values()]
    for one in (target, *made):
        repository.push(one)
    return repository, target, made


def _applied(answer: Exchange) -> None:
    names = [name.strip() for name in (status(answer, 200).header("OCI-Filters-Applied") or "").split(",")]
    if "artifactType" not in names:
        raise Skip("the registry does not filter referrers (no OCI-Filters-Applied); supported tells")


@rule(
    "discovery/referrers-filter",
    "end-12b",
    Level.SHOULD,
    "a filter by artifactType is applied",
    each("some", "none"),
    algorithms,
)
def supported(bench: Bench, matching: str, algorithm: str) -> None:
    repository, target, made = _filled(bench, algorithm)
    asked = made[0].artifact_type if matching == "some" else "application/vnd.example.none"
    header(status(repository.referrers(target.digest, asked), 200), "OCI-Filters-Applied", "artifactType")


@rule(
    "discovery/referrers-filter",
    "end-12b",
    Level.MUST,
    "an applied filter lists all that match and nothing else",
    named({str(number): number for number in range(len(REFERRERS))}),
    algorithms,
)
def matches_only(bench: Bench, number: int, algorithm: str) -> None:
    repository, target, made = _filled(bench, algorithm)
    asked = made[number].artifact_type
    if asked is None:
        return
    answer = repository.referrers(target.digest, asked)
    _applied(answer)
    lists(bench, answer, *(one for one in made if one.artifact_type == asked))


@rule(
    "discovery/referrers-filter",
    "end-12b",
    Level.MUST,
    "a filter that nothing matches is an empty index, 200",
)
def nothing_matches(bench: Bench) -> None:
    repository, target, _ = _filled(bench)
    answer = repository.referrers(target.digest, "application/vnd.example.none")
    _applied(answer)
    holds(answer, entries(answer) == [], "an empty list of manifests", answer.body[:300].decode())
    header(answer, "Content-Type", OCI_INDEX)


@rule(
    "discovery/referrers-filter",
    "end-12b",
    Level.MUST,
    "a filter compares the whole type, special letters included",
    TYPES,
)
def special_letters(bench: Bench, kind: str) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor(), artifact_type=kind)
    longer = image(bench.source, "sha256", subject=target.descriptor(), artifact_type=kind + "x")
    for one in (made, longer):
        repository.push(one)
    answer = repository.referrers(target.digest, kind)
    _applied(answer)
    lists(bench, answer, made)


@rule("discovery/referrers-filter", "end-12a", Level.MUST, "without a filter no filter is told")
def not_asked(bench: Bench) -> None:
    repository, target, _ = _filled(bench)
    answer = status(repository.referrers(target.digest), 200)
    holds(answer, answer.header("OCI-Filters-Applied") is None, "no OCI-Filters-Applied")


@rule(
    "discovery/referrers-filter",
    "end-12b",
    Level.MUST,
    "a filter on what has no referrers is 200 and empty",
    each("known", "unknown repository"),
)
def filtered_empty(bench: Bench, case: str) -> None:
    repository, digest = bench.repository(), bench.source.absent()
    if case == "known":
        repository.push(image(bench.source, "sha256"))
    answer = status(repository.referrers(digest, "application/vnd.example.a"), 200)
    holds(answer, document(answer).get("manifests") == [], "manifests: []", answer.body[:300].decode())
