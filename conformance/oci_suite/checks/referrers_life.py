"""Referrers as manifests come and go, and the fallback tags that clients keep (end-12a)."""

from ..bench import Bench
from ..expect import body, holds, status
from ..kinds import REFERRERS, SubjectMaker
from ..manifest import Manifest, image, index
from ..plan import Level
from ..rule import Skip, algorithms, named, rule
from .referrers_list import all_entries, lists


def _fallback_tag(made: Manifest) -> str:
    algorithm, _, encoded = made.digest.partition(":")
    return f"{algorithm}-{encoded[:64]}"


@rule(
    "discovery/referrers-life",
    "end-9",
    Level.MUST,
    "a deleted referrer is listed no more",
    named(REFERRERS),
    algorithms,
)
def deleted(bench: Bench, make: SubjectMaker, algorithm: str) -> None:
    bench.need_delete("manifest")
    repository, target = bench.repository(), image(bench.source, algorithm)
    gone, stays = (make(bench.source, algorithm, target.descriptor()) for _ in range(2))
    for one in (target, gone, stays):
        repository.push(one)
    status(repository.manifest(gone.digest, "DELETE"), 202)
    lists(bench, repository.referrers(target.digest), stays)


@rule(
    "discovery/referrers-life",
    "end-9",
    Level.MUST,
    "when the last referrer is deleted the list is empty, 200",
)
def last_deleted(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor())
    for one in (target, made):
        repository.push(one)
    status(repository.manifest(made.digest, "DELETE"), 202)
    lists(bench, repository.referrers(target.digest))


@rule(
    "discovery/referrers-life",
    "end-7",
    Level.MUST,
    "a referrer that is deleted and pushed again is listed again",
)
def pushed_again(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor())
    for one in (target, made):
        repository.push(one)
    status(repository.manifest(made.digest, "DELETE"), 202)
    repository.push(made)
    lists(bench, repository.referrers(target.digest), made)


@rule(
    "discovery/referrers-life",
    "end-12a",
    Level.MUST,
    "when the subject is deleted its referrers can still be asked for",
)
def subject_deleted(bench: Bench) -> None:
    bench.need_delete("manifest")
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor())
    for one in (target, made):
        repository.push(one)
    if repository.manifest(target.digest, "DELETE").status != 202:
        raise Skip("the registry does not delete a manifest that has referrers")
    answer = status(repository.referrers(target.digest), 200)
    found = {str(entry.get("digest")) for entry in all_entries(bench.wire, answer)}
    holds(answer, found <= {made.digest}, "its referrers, or none", str(found))
    if found:
        body(status(repository.manifest(made.digest), 200), made.body)


@rule(
    "discovery/referrers-life",
    "end-12a",
    Level.MUST,
    "a referrer listed by a fallback tag as well is listed once",
    algorithms,
)
def fallback_listed_once(bench: Bench, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    made = image(bench.source, algorithm, subject=target.descriptor())
    fallback = index(algorithm, [made])
    repository.push(target)
    repository.push(fallback, _fallback_tag(target))
    lists(bench, repository.referrers(target.digest), made)
    body(status(repository.manifest(_fallback_tag(target)), 200), fallback.body)


@rule(
    "discovery/referrers-life",
    "end-12a",
    Level.MUST,
    "what a fallback tag lists without having the subject is no referrer",
)
def fallback_without_subject(bench: Bench) -> None:
    repository, target, other = (
        bench.repository(),
        image(bench.source, "sha256"),
        image(bench.source, "sha256"),
    )
    stray = image(bench.source, "sha256")
    elsewhere = image(bench.source, "sha256", subject=other.descriptor())
    repository.push(target)
    repository.push(index("sha256", [stray, elsewhere]), _fallback_tag(target))
    lists(bench, repository.referrers(target.digest))


@rule(
    "discovery/referrers-life",
    "end-12a",
    Level.MUST,
    "what a fallback tag says of a referrer does not change its descriptor",
)
def fallback_cannot_lie(bench: Bench) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(
        bench.source, "sha256", subject=target.descriptor(), artifact_type="application/vnd.example.true"
    )
    honest = index("sha256", [made])
    lie = honest.body.replace(
        b'"size":', b'"artifactType":"application/vnd.example.lie","annotations":{"lie":"1"},"size":'
    )
    for one in (target, made):
        repository.push(one)
    status(repository.put_manifest(_fallback_tag(target), honest.media_type, lie), 201)
    answer = repository.referrers(target.digest)
    found = [(e.get("artifactType"), e.get("annotations") or {}) for e in all_entries(bench.wire, answer)]
    holds(
        answer,
        found == [("application/vnd.example.true", {})],
        "what the manifest says of itself",
        str(found),
    )
