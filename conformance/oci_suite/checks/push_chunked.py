"""Chunks in and out of order (end-5, end-6)."""

from ..bench import Bench
from ..digests import digest_of
from ..expect import body, header, holds, present, status
from ..plan import Level, Profile
from ..repository import Repository
from ..rule import algorithms, each, named, rule
from ..session import Session

SIZE = 3000


def _begin(bench: Bench) -> tuple[Repository, Session, list[bytes]]:
    """A repository, a session in it, and a blob in three chunks that the registry takes."""
    repository = bench.repository()
    session = repository.begin()
    return repository, session, session.chunks(bench.source.blob(max(SIZE, 3 * session.minimum - 5)), 3)


def _finish(
    repository: Repository, session: Session, chunks: list[bytes], sent: int, algorithm: str = "sha256"
) -> None:
    """Push the chunks that are left, close, and see the blob."""
    offset = sum(map(len, chunks[:sent]))
    for chunk in chunks[sent:]:
        status(session.patch(chunk, offset), 202, why="the right chunk after a wrong one")
        offset += len(chunk)
    data = b"".join(chunks)
    digest = digest_of(data, algorithm)
    status(session.close(digest), 201)
    body(status(repository.blob(digest), 200), data)


@rule("push/chunked", "end-5", Level.MUST, "a chunk in order is 202 with a Location", algorithms)
def chunk(bench: Bench, algorithm: str) -> None:
    repository, session, chunks = _begin(bench)
    answer = status(session.patch(chunks[0], 0), 202)
    present(answer, "Location")
    _finish(repository, session, chunks, 1, algorithm)


@rule(
    "push/chunked",
    "end-5",
    Level.MUST,
    "Range tells the last byte of the blob so far",
    each("first", "second", "third"),
)
def range_so_far(bench: Bench, which: str) -> None:
    _, session, chunks = _begin(bench)
    offset = 0
    for part in chunks[: ("first", "second", "third").index(which) + 1]:
        answer = status(session.patch(part, offset), 202)
        offset += len(part)
    header(answer, "Range", f"0-{offset - 1}")


@rule("push/chunked", "end-5", Level.TRAP, "Range after a streamed PATCH tells the last byte")
def range_streamed(bench: Bench) -> None:
    header(status(bench.repository().begin().stream(bench.source.blob(50_000)), 202), "Range", "0-49999")


@rule("push/streamed", "end-5", Level.TRAP, "streamed PATCHes follow one another", algorithms)
def two_streams(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(90_000)
    session = repository.begin()
    status(session.stream(data[:40_000]), 202)
    header(status(session.stream(data[40_000:]), 202), "Range", "0-89999")
    digest = digest_of(data, algorithm)
    status(session.close(digest), 201)
    body(status(repository.blob(digest), 200), data)


@rule("push/streamed", "end-5", Level.TRAP, "a chunk with a range may follow a streamed PATCH", algorithms)
def chunk_after_stream(bench: Bench, algorithm: str) -> None:
    repository, session, chunks = _begin(bench)
    status(session.stream(chunks[0]), 202)
    _finish(repository, session, chunks, 1, algorithm)


@rule("push/streamed", "end-6", Level.TRAP, "the rest of a streamed blob may come in the PUT", algorithms)
def put_after_stream(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(5000)
    session = repository.begin()
    status(session.stream(data[:3000]), 202)
    digest = digest_of(data, algorithm)
    status(session.close(digest, data[3000:], 3000), 201)
    body(status(repository.blob(digest), 200), data)


# how a second chunk can be out of order: the shift of its range from where it belongs
SHIFTS = named({"gap of one byte": 1, "gap": 500, "overlap of one byte": -1, "overlap": -400})


@rule("push/chunked", "end-5", Level.MUST, "a chunk out of order is 416", SHIFTS)
def out_of_order(bench: Bench, shift: int) -> None:
    _, session, chunks = _begin(bench)
    status(session.patch(chunks[0], 0), 202)
    status(session.patch(chunks[1], len(chunks[0]) + shift), 416)


@rule(
    "push/chunked",
    "end-5",
    Level.MUST,
    "a first chunk that does not begin at 0 is 416",
    named({"1": 1, "1000": 1000}),
)
def first_not_zero(bench: Bench, first: int) -> None:
    _, session, chunks = _begin(bench)
    status(session.patch(chunks[0], first), 416)


@rule("push/chunked", "end-5", Level.MUST, "a chunk sent twice is 416 the second time")
def repeated(bench: Bench) -> None:
    _, session, chunks = _begin(bench)
    status(session.patch(chunks[0], 0), 202)
    status(session.patch(chunks[0], 0), 416)


@rule(
    "push/chunked", "end-5", Level.MUST, "after a chunk out of order the session goes on", SHIFTS, algorithms
)
def survives(bench: Bench, shift: int, algorithm: str) -> None:
    repository, session, chunks = _begin(bench)
    status(session.patch(chunks[0], 0), 202)
    status(session.patch(chunks[1], len(chunks[0]) + shift), 416)
    _finish(repository, session, chunks, 1, algorithm)


@rule("push/chunked", "end-5", Level.MUST, "after a first chunk not at 0 the session goes on", algorithms)
def survives_first(bench: Bench, algorithm: str) -> None:
    repository, session, chunks = _begin(bench)
    status(session.patch(chunks[1], len(chunks[0])), 416)
    _finish(repository, session, chunks, 0, algorithm)


@rule("push/status", "end-13", Level.MUST, "after a 416, GET tells the offset and where to go on", SHIFTS)
def status_after_refusal(bench: Bench, shift: int) -> None:
    repository, session, chunks = _begin(bench)
    status(session.patch(chunks[0], 0), 202)
    status(session.patch(chunks[1], len(chunks[0]) + shift), 416)
    header(status(session.ask(), 204), "Range", f"0-{len(chunks[0]) - 1}")
    _finish(repository, session, chunks, 1)


@rule(
    "push/chunked",
    "end-6",
    Level.MUST,
    "a last chunk out of order in the PUT is 416",
    SHIFTS,
    since=Profile.DEV,
)
def last_out_of_order(bench: Bench, shift: int) -> None:
    _, session, chunks = _begin(bench)
    status(session.patch(chunks[0] + chunks[1], 0), 202)
    first = len(chunks[0] + chunks[1]) + shift
    status(session.close(digest_of(b"".join(chunks)), chunks[2], first), 416)


@rule(
    "push/chunked",
    "end-6",
    Level.MUST,
    "after a last chunk out of order the session can be completed",
    SHIFTS,
    algorithms,
    since=Profile.DEV,
)
def recoverable(bench: Bench, shift: int, algorithm: str) -> None:
    repository, session, chunks = _begin(bench)
    status(session.patch(chunks[0] + chunks[1], 0), 202)
    offset, data = len(chunks[0] + chunks[1]), b"".join(chunks)
    digest = digest_of(data, algorithm)
    status(session.close(digest, chunks[2], offset + shift), 416)
    status(repository.blob(digest), 404)
    header(status(session.ask(), 204), "Range", f"0-{offset - 1}")
    status(session.close(digest, chunks[2], offset), 201)
    body(status(repository.blob(digest), 200), data)


@rule(
    "push/chunked",
    "end-5",
    Level.MUST,
    "a range that does not fit the chunk's length acknowledges no byte that did not come",
    named({"too long": 100, "too short": -100}),
)
def range_and_length(bench: Bench, longer: int) -> None:
    session, data = bench.repository().begin(), bench.source.blob(1000)
    answer = session.send_patch(data, {"Content-Range": f"0-{len(data) - 1 + longer}"})
    if answer.status == 202:
        header(answer, "Range", f"0-{len(data) - 1}")
    else:
        holds(answer, 400 <= answer.status < 500, "a 4xx status, or a Range of the bytes that came")


@rule(
    "push/chunked",
    "end-5",
    Level.TRAP,
    "a malformed Content-Range is no error of the server and leaves the session whole",
    each("abc", "5", "-5", "7-", "5-2", "0-x", "0--1", "99999999999999999999999-99999999999999999999999"),
)
def malformed_range(bench: Bench, span: str) -> None:
    repository, session, chunks = _begin(bench)
    answer = session.send_patch(chunks[0], {"Content-Range": span})
    sent = 1 if answer.status == 202 else 0
    holds(answer, sent == 1 or 400 <= answer.status < 500, "a 4xx status, or 202 and the range ignored")
    _finish(repository, session, chunks, sent)


@rule("push/chunked", "end-5", Level.SHOULD, "sixty chunks make one blob", algorithms)
def many_chunks(bench: Bench, algorithm: str) -> None:
    repository = bench.repository()
    session = repository.begin()
    chunks = session.chunks(bench.source.blob(60 * 1000), 60)
    _finish(repository, session, chunks, 0, algorithm)


@rule(
    "push/chunked",
    "end-5",
    Level.MUST,
    "a chunk at an offset beyond 16 bit and across buffer sizes is placed rightly",
)
def odd_sizes(bench: Bench) -> None:
    repository = bench.repository()
    session = repository.begin()
    sizes = [max(size, session.minimum) for size in (65535, 1, 65536, 65537, 8191, 3)]
    _finish(repository, session, [bench.source.blob(size) for size in sizes], 0)
