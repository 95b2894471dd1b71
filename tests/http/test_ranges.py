"""Ranges: what RFC 9110 says is the reference, computed the slow way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.errors import ErrorKind, StoreError
from registry.http.ranges import ByteRange, ContentRange, parse_content_range, parse_range


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-0", 10, ByteRange(0, 1)),
        ("bytes=2-4", 10, ByteRange(2, 3)),
        ("bytes=4-", 10, ByteRange(4, 6)),
        ("bytes=-3", 10, ByteRange(7, 3)),
        ("bytes=-30", 10, ByteRange(0, 10)),
        ("bytes=5-99999999999999999999999", 10, ByteRange(5, 5)),
        ("Bytes=1-2", 10, ByteRange(1, 2)),
        ("bytes= 1-2", 10, ByteRange(1, 2)),
        ("bytes=4-2", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("bytes=-", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=\u0661-\u0662", 10, None),
        ("bytes 0-1", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=" + "1" * 5000 + "-", 10, None),
        ("", 10, None),
        ("bytes=-5", 0, None),
    ],
)
def test_a_range_header_means(header: str | None, size: int, expected: ByteRange | None) -> None:
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_beyond_the_content_is_unsatisfiable_and_says_the_size(header: str, size: int) -> None:
    with pytest.raises(StoreError) as caught:
        parse_range(header, size)
    assert caught.value.kind is ErrorKind.RANGE_UNSATISFIABLE
    assert caught.value.detail == {"size": size}


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 40))
def test_a_closed_range_selects_what_a_slice_does(size: int, first: int, last: int) -> None:
    content = bytes(range(size))
    try:
        part = parse_range(f"bytes={first}-{last}", size)
    except StoreError:
        assert first >= size and last >= first
        return
    if last < first:
        assert part is None
    else:
        assert part is not None
        assert content[part.start : part.start + part.length] == content[first : last + 1] != b""
        assert part.last == part.start + part.length - 1


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_header_whatever_makes_a_range_outside_the_content(header: str, size: int) -> None:
    for text in (header, "bytes=" + header):
        try:
            part = parse_range(text, size)
        except StoreError as error:
            assert error.kind is ErrorKind.RANGE_UNSATISFIABLE
        else:
            assert part is None or 0 <= part.start < part.start + part.length <= size


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("0-0", ContentRange(0, 0)),
        ("5-1023", ContentRange(5, 1023)),
        ("bytes 5-9/*", ContentRange(5, 9)),
        ("bytes 5-9/10", ContentRange(5, 9, 10)),
        ("BYTES 5-9/20", ContentRange(5, 9, 20)),
    ],
)
def test_a_content_range_means(header: str, expected: ContentRange) -> None:
    assert parse_content_range(header) == expected
    assert parse_content_range(header).length == expected.last - expected.start + 1


@given(
    st.sampled_from(
        ["", "5", "5-", "-5", "5-4", "0--1", "a-b", "bytes=0-5", "bytes 0-5/5", "0-5,7-9", "0x1-2"]
    )
    | st.text(alphabet="0123456789-/* bytes=", max_size=12)
)
def test_any_other_content_range_is_a_bad_request(header: str) -> None:
    try:
        content = parse_content_range(header)
    except StoreError as error:
        assert error.kind is ErrorKind.BAD_REQUEST
    else:
        assert 0 <= content.start <= content.last
        assert str(content.start) in header and str(content.last) in header
