"""Parts of blobs: the Range header in RFC 9110's sense (end-2)."""

import re
from dataclasses import dataclass

from ..bench import Bench
from ..exchange import Exchange
from ..expect import body, header, holds, status
from ..plan import Level
from ..rule import Skip, algorithms, named, rule

SIZE = 1000


@dataclass(frozen=True)
class Span:
    """A range that can be satisfied: as it is asked for, its first byte and its last."""

    asked: str
    first: int
    last: int


SATISFIABLE = named(
    {
        span.asked: span
        for span in (
            Span("100-199", 100, 199),
            Span("0-0", 0, 0),
            Span("999-999", 999, 999),
            Span("0-999", 0, 999),
            Span("500-", 500, 999),
            Span("0-", 0, 999),
            Span("-1", 999, 999),
            Span("-300", 700, 999),
            Span("-1000", 0, 999),
            Span("-5000", 0, 999),
            Span("900-5000", 900, 999),
            Span("0-1000", 0, 999),
            Span("10-9223372036854775807", 10, 999),
        )
    }
)
UNSATISFIABLE = named({asked: asked for asked in ("1000-", "1000-1000", "5000-6000", "-0")})


def _ask(bench: Bench, asked: str, algorithm: str = "sha256", method: str = "GET") -> tuple[Exchange, bytes]:
    repository, data = bench.repository(), bench.source.blob(SIZE)
    digest = repository.push_blob(data, algorithm)
    return repository.blob(digest, method, headers={"Range": f"bytes={asked}"}), data


@rule(
    "pull/ranges", "end-2", Level.SHOULD, "a range is 206 with exactly those bytes", SATISFIABLE, algorithms
)
def one_range(bench: Bench, span: Span, algorithm: str) -> None:
    answer, data = _ask(bench, span.asked, algorithm)
    body(status(answer, 206), data[span.first : span.last + 1])
    holds(
        answer,
        answer.header("Content-Range")
        in (f"bytes {span.first}-{span.last}/{SIZE}", f"bytes {span.first}-{span.last}/*"),
        f"Content-Range: bytes {span.first}-{span.last}/{SIZE}",
    )
    header(answer, "Content-Length", str(span.last - span.first + 1))


@rule("pull/ranges", "end-2", Level.SHOULD, "a range with nothing in it is 416", UNSATISFIABLE, algorithms)
def nothing_in_range(bench: Bench, asked: str, algorithm: str) -> None:
    answer, _ = _ask(bench, asked, algorithm)
    status(answer, 416)


@rule(
    "pull/ranges",
    "end-2",
    Level.SHOULD,
    "a malformed range is ignored or turned down, and never yields other bytes",
    named({asked: asked for asked in ("500-0", "a-b", "5", "-", "1-2-3", "0-1;2-3")}),
)
def malformed_range(bench: Bench, asked: str) -> None:
    answer, data = _ask(bench, asked)
    status(answer, 200, 400, 416)
    if answer.status == 200:
        body(answer, data)


@rule("pull/ranges", "end-2", Level.SHOULD, "a range in an unknown unit is ignored")
def unknown_unit(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(SIZE)
    answer = repository.blob(repository.push_blob(data), headers={"Range": "lines=0-1"})
    # 416 is what the HTTP library of many registries says, and does no harm
    status(answer, 200, 400, 416)
    if answer.status == 200:
        body(answer, data)


@rule("pull/ranges", "end-2", Level.SHOULD, "several ranges come as parts, as the whole, or not at all")
def several_ranges(bench: Bench) -> None:
    answer, data = _ask(bench, "0-9,500-509")
    status(answer, 200, 206, 416)
    if answer.status == 200:
        body(answer, data)
    elif answer.status == 206 and (answer.header("Content-Type") or "").startswith("multipart/byteranges"):
        parts = data[:10] in answer.body and data[500:510] in answer.body
        holds(answer, parts, "both parts in the multipart body")
    elif answer.status == 206:
        _is_what_it_says(answer, data)


def _is_what_it_says(answer: Exchange, data: bytes) -> None:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.header("Content-Range") or "")
    holds(answer, found is not None, "a Content-Range")
    assert found
    body(answer, data[int(found[1]) : int(found[2]) + 1])


@rule(
    "pull/ranges",
    "end-2",
    Level.SHOULD,
    "an interrupted pull resumes: the parts make up the blob",
    algorithms,
)
def parts_make_the_blob(bench: Bench, algorithm: str) -> None:
    repository, data = bench.repository(), bench.source.blob(300_001)
    digest = repository.push_blob(data, algorithm)
    parts = [
        repository.blob(digest, headers={"Range": f"bytes={span}"})
        for span in ("0-99999", "100000-250000", "250001-")
    ]
    for part in parts:
        status(part, 206)
    body(parts[-1], data[250_001:])
    holds(
        parts[0], b"".join(part.body for part in parts) == data, "parts that make up the blob", "other bytes"
    )


@rule("pull/ranges", "end-2", Level.SHOULD, "a range of the empty blob yields no bytes")
def range_of_empty(bench: Bench) -> None:
    repository = bench.repository()
    answer = repository.blob(repository.push_blob(b""), headers={"Range": "bytes=0-"})
    status(answer, 200, 416)


@rule("pull/ranges", "end-2", Level.SHOULD, "If-Range with another ETag gives the whole blob")
def if_range_other(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(SIZE)
    answer = repository.blob(
        repository.push_blob(data), headers={"Range": "bytes=5-9", "If-Range": '"another"'}
    )
    body(status(answer, 200), data)


@rule("pull/ranges", "end-2", Level.SHOULD, "If-Range with the blob's strong ETag gives the range")
def if_range_same(bench: Bench) -> None:
    repository, data = bench.repository(), bench.source.blob(SIZE)
    digest = repository.push_blob(data)
    etag = status(repository.blob(digest), 200).header("ETag")
    if etag is None or etag.startswith("W/"):
        raise Skip("the registry sends no strong ETag with blobs, as it may")
    body(status(repository.blob(digest, headers={"Range": "bytes=5-9", "If-Range": etag}), 206), data[5:10])


@rule("pull/ranges", "end-2", Level.TRAP, "HEAD with a Range has no body and no error")
def head_with_range(bench: Bench) -> None:
    answer, _ = _ask(bench, "0-9", method="HEAD")
    body(status(answer, 200, 206), b"")
