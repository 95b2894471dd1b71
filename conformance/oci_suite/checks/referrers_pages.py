"""Lists of referrers that are large (end-12a)."""

from ..bench import Bench
from ..expect import holds, status
from ..manifest import Manifest, image
from ..plan import Level
from ..repository import Repository
from ..rule import named, rule
from ..wire import next_link
from .referrers_list import all_entries, entries

COUNTS = named({"150 small": (150, 10), "60 of 100 kB": (60, 100_000)})


def _many(bench: Bench, count: int, note: int) -> tuple[Repository, Manifest, list[str]]:
    """A subject with `count` referrers, each with an annotation of `note` bytes."""
    repository, target = bench.repository(), image(bench.source, "sha256")
    digests = []
    for number in range(count):
        made = image(
            bench.source,
            "sha256",
            layers=[],
            config=("application/vnd.example.c", b"{}"),
            subject=target.descriptor(),
            artifact_type=f"application/vnd.example.{number % 2}",
            annotations={"number": str(number), "note": "n" * note},
        )
        repository.push(made)
        digests.append(made.digest)
    return repository, target, digests


@rule("discovery/referrers-pages", "end-12a", Level.MUST, "a long list is whole, over its pages", COUNTS)
def whole(bench: Bench, size: tuple[int, int]) -> None:
    repository, target, digests = _many(bench, *size)
    answer = repository.referrers(target.digest)
    found = [str(entry.get("digest")) for entry in all_entries(bench.wire, answer)]
    holds(
        answer,
        len(set(found)) == len(found),
        "no referrer twice",
        f"{len(found)} of {len(set(found))} referrers",
    )
    holds(
        answer, sorted(found) == sorted(digests), f"all {len(digests)} referrers", f"{len(found)} referrers"
    )


@rule("discovery/referrers-pages", "end-12b", Level.MUST, "a filter holds on every page", COUNTS)
def filtered(bench: Bench, size: tuple[int, int]) -> None:
    repository, target, digests = _many(bench, *size)
    answer = status(repository.referrers(target.digest, "application/vnd.example.1"), 200)
    if "artifactType" not in (answer.header("OCI-Filters-Applied") or ""):
        return
    found = all_entries(bench.wire, answer)
    kinds = {str(entry.get("artifactType")) for entry in found}
    holds(answer, kinds == {"application/vnd.example.1"}, "only the type asked for", str(kinds))
    holds(
        answer, len(found) == len(digests) // 2, f"{len(digests) // 2} referrers", f"{len(found)} referrers"
    )


@rule(
    "discovery/referrers-pages",
    "end-12a",
    Level.TRAP,
    "no page is beyond the 4 MiB that clients read of an index",
)
def page_size(bench: Bench) -> None:
    repository, target, _ = _many(bench, 60, 100_000)
    answer = repository.referrers(target.digest)
    while True:
        entries(answer)
        holds(
            answer,
            len(answer.body) <= 4 * 1024 * 1024,
            "at most 4 MiB",
            f"a page of {len(answer.body)} bytes",
        )
        link = next_link(answer)
        if link is None:
            return
        answer = bench.wire.send("GET", link)
