"""The digest algorithm named at the start of an upload (end-4c)."""

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, present, status
from ..plan import Level, Profile
from ..rule import algorithms, each, rule


@rule(
    "push/algorithm",
    "end-4c",
    Level.SHOULD,
    "an upload may name its algorithm",
    algorithms,
    each("post-put", "chunked", "streamed"),
    since=Profile.DEV,
)
def named_algorithm(bench: Bench, algorithm: str, form: str) -> None:
    repository, data = bench.repository(), bench.source.blob(2000)
    digest = digest_of(data, algorithm)
    session = repository.begin(f"?digest-algorithm={algorithm}")
    if form == "chunked":
        offset = 0
        for chunk in session.chunks(data, 2):
            status(session.patch(chunk, offset), 202)
            offset += len(chunk)
    elif form == "streamed":
        status(session.stream(data), 202)
    present(status(session.close(digest, data if form == "post-put" else None), 201), "Location")
    body(status(repository.blob(digest), 200), data)


@rule(
    "push/algorithm",
    "end-4c",
    Level.TRAP,
    "an unknown algorithm is 400 at the start",
    each("unknown", "md5", "sha-256"),
    since=Profile.DEV,
)
def unknown_algorithm(bench: Bench, algorithm: str) -> None:
    status(bench.repository().post_upload(f"?digest-algorithm={algorithm}"), 400)


@rule(
    "push/algorithm",
    "end-6",
    Level.MUST,
    "a mismatch is found in a named algorithm too",
    algorithms,
    since=Profile.DEV,
)
def mismatch(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(300)
    session = repository.begin(f"?digest-algorithm={algorithm}")
    status(session.close(bench.source.absent(algorithm), data), 400)
    status(repository.blob(digest_of(data, algorithm)), 404)
