"""Pushing blobs whole and in parts, in every form and size (end-4a, end-4b, end-5, end-6)."""

from urllib.parse import urljoin

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, holds, present, status
from ..forms import FORMS, Form
from ..plan import Level
from ..rule import Skip, algorithms, each, named, rule
from ..session import OCTETS
from ..wire import with_query

MIB = 1024 * 1024
EVERY_FORM = named(FORMS)


@rule("push/start", "end-4a", Level.MUST, "POST is 202 with a Location to push to")
def begin(bench: Bench) -> None:
    present(status(bench.repository().post_upload(), 202), "Location")


@rule("push/start", "end-4a", Level.MUST, "each upload has a location of its own")
def own_location(bench: Bench) -> None:
    repository = bench.repository()
    answers = [status(repository.post_upload(), 202) for _ in range(3)]
    locations = {present(answer, "Location") for answer in answers}
    holds(answers[-1], len(locations) == 3, "a Location that no other upload has", str(locations))


@rule(
    "push/blobs",
    "end-6",
    Level.MUST,
    "a pushed blob is 201 with a Location, and can be pulled",
    EVERY_FORM,
    named({"1-byte": 1, "1000-bytes": 1000, "65537-bytes": 65537, "8-MiB": 8 * MIB}),
    algorithms,
)
def push(bench: Bench, form: Form, size: int, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(size)
    digest = digest_of(data, algorithm)
    present(status(form(repository, data, digest), 201), "Location")
    body(status(repository.blob(digest), 200), data)


@rule(
    "push/blobs",
    "end-6",
    Level.MUST,
    "a blob without bytes is a blob",
    each("post-put", "single-post", "streamed"),
    algorithms,
)
def push_empty(bench: Bench, form: str, algorithm: str) -> None:
    repository, digest = bench.repository(), digest_of(b"", algorithm)
    status(FORMS[form](repository, b"", digest), 201)
    body(status(repository.blob(digest), 200), b"")


@rule(
    "push/blobs", "end-6", Level.MUST, "the Location of a pushed blob can be pulled", EVERY_FORM, algorithms
)
def location_pulls(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(500)
    answer = status(form(repository, data, digest_of(data, algorithm)), 201)
    location = urljoin(answer.request.target, present(answer, "Location"))
    body(status(bench.wire.send("GET", location), 200), data)


@rule("push/blobs", "end-6", Level.MUST, "a blob can be pushed again, in any form", EVERY_FORM, algorithms)
def push_again(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(700)
    digest = repository.push_blob(data, algorithm)
    status(form(repository, data, digest), 201)
    body(status(repository.blob(digest), 200), data)


@rule("push/blobs", "end-6", Level.MUST, "a blob pushed to a second repository is there too", EVERY_FORM)
def push_elsewhere(bench: Bench, form: Form) -> None:
    first, second, data = bench.repository(), bench.repository(), bench.source.blob(700)
    digest = first.push_blob(data)
    status(form(second, data, digest), 201)
    for repository in (first, second):
        body(status(repository.blob(digest), 200), data)


@rule(
    "push/single-post",
    "end-4b",
    Level.SHOULD,
    "a single POST is 201, or 202 with a Location to go on at",
    algorithms,
)
def single_post(bench: Bench, algorithm: str) -> None:
    data = bench.source.blob(400)
    query = with_query("", "digest", digest_of(data, algorithm))
    present(status(bench.repository().post_upload(query, data), 201, 202), "Location")


@rule(
    "push/single-post",
    "end-4b",
    Level.TRAP,
    "a single POST without bytes is a push of the empty blob",
    algorithms,
)
def single_post_empty(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    query = with_query("", "digest", digest_of(bench.source.blob(9), algorithm))
    if status(repository.post_upload(query, b"no such bytes"), 201, 202, 400).status == 202:
        raise Skip("the registry does not push blobs by a single POST, as it may")
    digest = digest_of(b"", algorithm)
    status(repository.single_post(b"", digest), 201)
    body(status(repository.blob(digest), 200), b"")


@rule(
    "push/post-put",
    "end-6",
    Level.TRAP,
    "the digest parameter is understood with its colon percent-encoded",
    algorithms,
)
def encoded_digest(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(77)
    digest = digest_of(data, algorithm)
    target = with_query(repository.begin().location, "digest", digest).replace(
        digest, digest.replace(":", "%3A")
    )
    status(bench.wire.send("PUT", target, headers=OCTETS, body=data), 201)


@rule("push/post-put", "end-6", Level.TRAP, "a PUT without a Content-Type is accepted")
def no_content_type(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(77)
    target = with_query(repository.begin().location, "digest", digest_of(data))
    status(bench.wire.send("PUT", target, body=data), 201)
