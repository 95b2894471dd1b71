"""Several clients at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import body, holds, status
from ..forms import FORMS, Form
from ..manifest import Manifest, image
from ..plan import Level
from ..repository import Repository
from ..rule import algorithms, named, rule
from .referrers_list import lists
from .tags_list import tags_of

CLIENTS = 8


def _at_once(work: Callable[[int], Exchange]) -> list[Exchange]:
    """The answers of all clients, each doing its share at once; the first MismatchError is raised."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(work, range(CLIENTS)))


def _put(repository: Repository, reference: str, made: Manifest) -> Exchange:
    return status(repository.put_manifest(reference, made.media_type, made.body), 201)


@rule(
    "concurrency",
    "end-6",
    Level.SHOULD,
    "one blob pushed by several clients at once is 201 for each",
    named(FORMS),
    algorithms,
)
def same_blob(bench: Bench, form: Form, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(200_000)
    digest = digest_of(data, algorithm)
    _at_once(lambda _: status(form(repository, data, digest), 201))
    body(status(repository.blob(digest), 200), data)


@rule(
    "concurrency",
    "end-6",
    Level.SHOULD,
    "different blobs pushed at once are each whole",
    named(FORMS),
    algorithms,
)
def different_blobs(bench: Bench, form: Form, algorithm: str) -> None:
    repository = bench.repository()
    blobs = [bench.source.blob(200_000) for _ in range(CLIENTS)]
    _at_once(lambda number: status(form(repository, blobs[number], digest_of(blobs[number], algorithm)), 201))
    for data in blobs:
        body(status(repository.blob(digest_of(data, algorithm)), 200), data)


@rule("concurrency", "end-6", Level.SHOULD, "one blob pushed to several repositories at once is in each")
def same_blob_elsewhere(bench: Bench) -> None:
    data = bench.source.blob(100_000)
    repositories = [bench.repository() for _ in range(CLIENTS)]
    _at_once(lambda number: status(repositories[number].begin().close(digest_of(data), data), 201))
    for repository in repositories:
        body(status(repository.blob(digest_of(data)), 200), data)


@rule("concurrency", "end-7", Level.SHOULD, "different tags pushed at once are all listed")
def different_tags(bench: Bench) -> None:
    repository, made = bench.repository(), [image(bench.source, "sha256") for _ in range(CLIENTS)]
    for one in made:
        repository.push_content(one)
    _at_once(lambda number: _put(repository, f"tag-{number}", made[number]))
    answer = repository.tags()
    wanted = [f"tag-{number}" for number in range(CLIENTS)]
    holds(answer, tags_of(answer) == wanted, f"tags {wanted}", answer.body.decode())


@rule(
    "concurrency",
    "end-7",
    Level.SHOULD,
    "one tag pushed by several clients at once points to one of their manifests",
)
def same_tag(bench: Bench) -> None:
    repository, made = bench.repository(), [image(bench.source, "sha256") for _ in range(CLIENTS)]
    for one in made:
        repository.push_content(one)
    _at_once(lambda number: _put(repository, "contested", made[number]))
    answer = status(repository.manifest("contested"), 200)
    holds(
        answer,
        answer.body in [one.body for one in made],
        "one of the manifests pushed",
        f"{answer.body[:100]!r}",
    )


@rule("concurrency", "end-12a", Level.MUST, "referrers pushed at once are all listed")
def referrers(bench: Bench) -> None:
    repository, target = bench.repository(), image(bench.source, "sha256")
    made = [image(bench.source, "sha256", subject=target.descriptor()) for _ in range(CLIENTS)]
    for one in (target, *made):
        repository.push_content(one)
    _at_once(lambda number: _put(repository, made[number].digest, made[number]))
    lists(bench, repository.referrers(target.digest), *made)


@rule("concurrency", "end-7", Level.SHOULD, "a tag that is being moved is never missing, and never torn")
def moving_tag(bench: Bench) -> None:
    repository, both = bench.repository(), [image(bench.source, "sha256") for _ in range(2)]
    for one in both:
        repository.push(one, "moving")
    bodies: Sequence[bytes] = [one.body for one in both]

    def work(number: int) -> Exchange:
        for turn in range(10):
            if number == 0:
                answer = _put(repository, "moving", both[turn % 2])
            else:
                answer = status(repository.manifest("moving"), 200)
                holds(answer, answer.body in bodies, "one of the two manifests", f"{answer.body[:100]!r}")
        return answer

    _at_once(work)


@rule("concurrency", "end-10", Level.SHOULD, "a blob deleted and pushed again in turns ends as it was left")
def delete_and_push(bench: Bench) -> None:
    bench.need_delete("blob")
    repository, data = bench.repository(), bench.source.blob(500)
    digest = repository.push_blob(data)
    for _ in range(5):
        status(repository.blob(digest, "DELETE"), 202)
        status(repository.blob(digest), 404)
        repository.push_blob(data)
        body(status(repository.blob(digest), 200), data)
