"""The list of referrers (end-12a)."""

from typing import Any

from ..bench import Bench
from ..exchange import Exchange
from ..expect import document, header, holds, listed, status
from ..kinds import REFERRERS, SubjectMaker
from ..manifest import OCI_INDEX, Manifest, image
from ..plan import Level
from ..rule import algorithms, each, named, rule
from ..wire import Wire, next_link

EVERY_REFERRER = named(REFERRERS)


def entries(answer: Exchange) -> list[dict[str, Any]]:
    """The descriptors in one answer of 200."""
    found = listed(answer, document(status(answer, 200)).get("manifests"), "manifests")
    holds(answer, all(isinstance(entry, dict) for entry in found), "descriptors", str(found)[:300])
    return found


def all_entries(wire: Wire, answer: Exchange) -> list[dict[str, Any]]:
    """The descriptors of this page and all that its Links lead to."""
    found = entries(answer)
    seen = set[str]()
    while (link := next_link(answer)) is not None and link not in seen:
        seen.add(link)
        answer = wire.send("GET", link)
        found += entries(answer)
    return found


def lists(bench: Bench, answer: Exchange, *expected: Manifest) -> None:
    """The referrers are these, each once."""
    found = sorted(str(entry.get("digest")) for entry in all_entries(bench.wire, answer))
    wanted = sorted(made.digest for made in expected)
    holds(answer, found == wanted, f"referrers {wanted}", f"referrers {found}")


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "what has no referrers has an empty list: 200, never 404",
    each("manifest", "digest never pushed", "unknown repository", "blob"),
    algorithms,
)
def empty(bench: Bench, case: str, algorithm: str) -> None:
    repository, made = bench.repository(), image(bench.source, algorithm)
    digest = bench.source.absent(algorithm)
    if case != "unknown repository":
        repository.push(made)
    if case == "manifest":
        digest = made.digest
    elif case == "blob":
        digest = repository.push_blob(bench.source.blob(20), algorithm)
    answer = repository.referrers(digest)
    holds(answer, entries(answer) == [], "an empty list of manifests", answer.body[:300].decode())


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "the list is an image index, its Content-Type exact",
    each("empty", "not empty"),
)
def content_type(bench: Bench, case: str) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    repository.push(target)
    if case == "not empty":
        repository.push(image(bench.source, "sha256", subject=target.descriptor()))
    answer = status(repository.referrers(target.digest), 200)
    header(answer, "Content-Type", OCI_INDEX)
    holds(answer, document(answer).get("schemaVersion") == 2, "schemaVersion: 2", answer.body[:200].decode())
    holds(
        answer,
        document(answer).get("mediaType") == OCI_INDEX,
        f"mediaType: {OCI_INDEX}",
        answer.body[:200].decode(),
    )


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "a manifest is listed under its subject",
    EVERY_REFERRER,
    each("subject there", "subject missing", "subject pushed after"),
    algorithms,
)
def listed_under_subject(bench: Bench, make: SubjectMaker, order: str, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    if order == "subject there":
        repository.push(target)
    made = make(bench.source, algorithm, target.descriptor())
    repository.push(made)
    if order == "subject pushed after":
        repository.push(target)
    lists(bench, repository.referrers(target.digest), made)


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "the descriptor has the manifest's type, digest and size",
    EVERY_REFERRER,
    algorithms,
)
def descriptor(bench: Bench, make: SubjectMaker, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    made = make(bench.source, algorithm, target.descriptor())
    repository.push(made)
    answer = repository.referrers(target.digest)
    found = [{key: entry.get(key) for key in made.descriptor()} for entry in entries(answer)]
    holds(answer, found == [made.descriptor()], str(made.descriptor()), str(found))


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "artifactType is the manifest's, else an image's config type, else left out",
    EVERY_REFERRER,
)
def artifact_type(bench: Bench, make: SubjectMaker) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = make(bench.source, "sha256", target.descriptor())
    repository.push(made)
    answer = repository.referrers(target.digest)
    found = [(entry.get("artifactType"), "artifactType" in entry) for entry in entries(answer)]
    wanted = [(made.artifact_type, made.artifact_type is not None)]
    words = "no artifactType" if made.artifact_type is None else f"artifactType: {made.artifact_type}"
    holds(answer, found == wanted, words, f"{answer.body[:400].decode()}")


@rule("discovery/referrers", "end-12a", Level.MUST, "the manifest's annotations are copied", EVERY_REFERRER)
def annotations(bench: Bench, make: SubjectMaker) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = make(bench.source, "sha256", target.descriptor())
    repository.push(made)
    answer = repository.referrers(target.digest)
    found = [entry.get("annotations") or {} for entry in entries(answer)]
    holds(answer, found == [dict(made.annotations)], f"annotations {dict(made.annotations)}", str(found))


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "all referrers of a subject are listed, each once",
    algorithms,
)
def several(bench: Bench, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    repository.push(target)
    made = [make(bench.source, algorithm, target.descriptor()) for make in REFERRERS.values()]
    for number, one in enumerate(made):
        repository.push(one)
        if algorithm == "sha256":  # a tag's push has the registry choose the algorithm
            repository.push(one, f"again-{number}")
    lists(bench, repository.referrers(target.digest), *made)


@rule("discovery/referrers", "end-12a", Level.MUST, "referrers are listed under their own subject only")
def own_subject_only(bench: Bench) -> None:
    repository = bench.repository()
    first, second = image(bench.source, "sha256"), image(bench.source, "sha256")
    of_first = image(bench.source, "sha256", subject=first.descriptor())
    of_second = image(bench.source, "sha256", subject=second.descriptor())
    for one in (first, second, of_first, of_second):
        repository.push(one)
    lists(bench, repository.referrers(first.digest), of_first)
    lists(bench, repository.referrers(second.digest), of_second)


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "a referrer of a referrer is listed under that one",
    algorithms,
)
def chain(bench: Bench, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    signature = image(bench.source, algorithm, subject=target.descriptor())
    counter = image(bench.source, algorithm, subject=signature.descriptor())
    for one in (target, signature, counter):
        repository.push(one)
    lists(bench, repository.referrers(target.digest), signature)
    lists(bench, repository.referrers(signature.digest), counter)


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "a malformed digest is 400",
    each(
        "sha256:abc",
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 63,
        "nonsense",
        "latest",
        "sha256:",
        "sha256:" + "a" * 65,
    ),
)
def malformed(bench: Bench, digest: str) -> None:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"))
    status(repository.referrers(digest), 400)


@rule("discovery/referrers", "end-12a", Level.MUST, "referrers pushed by tag are listed")
def pushed_by_tag(bench: Bench) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor())
    repository.push(made, "signature")
    lists(bench, repository.referrers(target.digest), made)


@rule(
    "discovery/referrers",
    "end-12a",
    Level.MUST,
    "a referrer's subject may have another algorithm than its own digest",
)
def mixed_algorithms(bench: Bench) -> None:
    others = [name for name in bench.plan.algorithms if name != "sha256"]
    for algorithm in others:
        repository, target = bench.repository(), image(bench.source, algorithm)
        repository.push(target)
        made = image(bench.source, "sha256", subject=target.descriptor())
        repository.push(made)
        lists(bench, repository.referrers(target.digest), made)
