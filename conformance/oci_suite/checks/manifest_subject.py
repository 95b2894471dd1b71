"""Pushing manifests with a subject (end-7)."""

import json

from ..bench import Bench
from ..expect import body, header, holds, refused, status
from ..kinds import REFERRERS, SubjectMaker
from ..manifest import OCI_IMAGE, encode, image
from ..plan import Level
from ..rule import algorithms, each, named, rule

EVERY_REFERRER = named(REFERRERS)


@rule(
    "push/subject",
    "end-7",
    Level.MUST,
    "a manifest whose subject is not there is accepted",
    EVERY_REFERRER,
    algorithms,
)
def missing_subject(bench: Bench, make: SubjectMaker, algorithm: str) -> None:
    repository = bench.repository()
    made = make(bench.source, algorithm, image(bench.source, algorithm).descriptor())
    repository.push_content(made)
    status(repository.put_manifest(made.digest, made.media_type, made.body), 201)
    body(status(repository.manifest(made.digest), 200), made.body)


@rule(
    "push/subject",
    "end-7",
    Level.MUST,
    "OCI-Subject tells that the subject was processed",
    EVERY_REFERRER,
    each("subject there", "subject missing"),
    algorithms,
)
def subject_header(bench: Bench, make: SubjectMaker, subject: str, algorithm: str) -> None:
    repository, target = bench.repository(), image(bench.source, algorithm)
    if subject == "subject there":
        repository.push(target)
    header(repository.push(make(bench.source, algorithm, target.descriptor())), "OCI-Subject", target.digest)


@rule("push/subject", "end-7", Level.MUST, "OCI-Subject comes with a push by tag too", EVERY_REFERRER)
def subject_header_by_tag(bench: Bench, make: SubjectMaker) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    header(
        repository.push(make(bench.source, "sha256", target.descriptor()), "signed"),
        "OCI-Subject",
        target.digest,
    )


@rule("push/subject", "end-7", Level.MUST, "OCI-Subject comes with a second push of the same manifest")
def subject_header_again(bench: Bench) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = image(bench.source, "sha256", subject=target.descriptor())
    repository.push(made)
    answer = status(repository.put_manifest(made.digest, made.media_type, made.body), 201)
    header(answer, "OCI-Subject", target.digest)


@rule(
    "push/subject",
    "end-7",
    Level.TRAP,
    "a manifest without a subject gets no OCI-Subject",
    each("by tag", "by digest"),
)
def no_subject(bench: Bench, reference: str) -> None:
    made = image(bench.source, "sha256")
    answer = bench.repository().push(made, "plain" if reference == "by tag" else None)
    holds(answer, answer.header("OCI-Subject") is None, "no OCI-Subject")


@rule(
    "push/subject",
    "end-7",
    Level.TRAP,
    "a subject of any media type is processed",
    each("application/vnd.example.unknown", OCI_IMAGE, ""),
)
def any_subject_type(bench: Bench, media_type: str) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256").descriptor()
    made = image(bench.source, "sha256", subject=target | {"mediaType": media_type} if media_type else target)
    header(repository.push(made), "OCI-Subject", str(target["digest"]))


@rule(
    "push/subject",
    "end-7",
    Level.TRAP,
    "a malformed subject is turned down, or ignored without OCI-Subject",
    each("sha256:abc", "nonsense", "../.."),
)
def malformed_subject(bench: Bench, digest: str) -> None:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    document = json.loads(made.body) | {"subject": {"mediaType": OCI_IMAGE, "digest": digest, "size": 3}}
    answer = repository.put_manifest("bad", OCI_IMAGE, encode(document))
    if answer.status == 201:
        holds(answer, answer.header("OCI-Subject") is None, "no OCI-Subject, or a 4xx status")
    else:
        refused(answer, "the subject's digest is malformed")


@rule("push/subject", "end-7", Level.MUST, "a subject that is a referrer itself is processed", algorithms)
def chain(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    target = image(bench.source, algorithm)
    for _ in range(3):
        made = image(bench.source, algorithm, subject=target.descriptor())
        header(repository.push(made), "OCI-Subject", target.digest)
        target = made
