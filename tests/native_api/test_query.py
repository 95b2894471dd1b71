"""Query parameters and Accept: read by type, refused by name."""

from __future__ import annotations

import pytest

from native_api.negotiate import choose
from native_api.query import Query, parse_time, read_query
from native_api.resources import Resource
from native_api.table import find
from native_api.table.operation import Operation
from registry.contract.errors import ErrorKind, StoreError


def operation(resource: Resource) -> Operation:
    found = find(resource, "GET")
    assert found is not None
    return found


def read(resource: Resource, *pairs: tuple[str, str]) -> Query:
    return read_query(pairs, operation(resource))


def test_a_page_is_a_hundred_unless_told() -> None:
    assert read(Resource.PACKAGES).limit == 100
    assert read(Resource.PACKAGES, ("limit", "1000"), ("after", "x")).limit == 1000
    assert read(Resource.PACKAGES, ("after", "x")).after == "x"


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.0", "", "ten", "٣", "01", "+1", "9" * 30])
def test_other_limits_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match="limit"):
        _ = read(Resource.PACKAGES, ("limit", text)).limit


@pytest.mark.parametrize("pairs", [[("lmit", "1")], [("limit", "1"), ("limit", "2")], [("label.a", "1")]])
def test_unknown_and_repeated_parameters_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(StoreError) as caught:
        read(Resource.PACKAGES, *pairs)
    assert caught.value.kind is ErrorKind.BAD_REQUEST


@pytest.mark.parametrize("pair", [("after", "a\0b"), ("label.a\0", "1"), ("metadata.a", "\0")])
def test_a_nul_is_refused_on_every_engine(pair: tuple[str, str]) -> None:
    with pytest.raises(StoreError, match="NUL") as caught:
        read(Resource.SEARCH, pair)
    assert caught.value.kind is ErrorKind.BAD_REQUEST


def test_an_unknown_parameter_is_named_beside_those_that_are_known() -> None:
    with pytest.raises(StoreError, match=r"'lable\.a'; known here are .*label\.KEY, metadata\.PATH"):
        read(Resource.SEARCH, ("lable.a", "1"))


def test_search_takes_labels_and_metadata_even_repeated() -> None:
    query = read(Resource.SEARCH, ("label.a", "1"), ("metadata.x.y", "2"), ("label.a", "3"))
    assert query.fields == (("label.a", "1"), ("metadata.x.y", "2"), ("label.a", "3"))


def test_search_takes_a_bounded_number_of_fields() -> None:
    with pytest.raises(StoreError):
        read(Resource.SEARCH, *[(f"label.{n}", "") for n in range(33)])


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01.5z", 1_500_000),
        ("1970-01-01T01:00:00.000001+01:00", 1),
        ("1970-01-01T01:00:00 01:00", 0),
        ("1969-12-31T23:59:59Z", -1_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_799_000_000),
        ("2026-01-31T12:00:00.1234567Z", 1_769_860_800_123_456),
    ],
)
def test_times_are_rfc_3339(text: str, micros: int) -> None:
    assert parse_time(text, "t") == micros


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z"],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_time(text, "created_after")
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert "created_after" in caught.value.message


BOTH = ("application/json", "text/event-stream")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, BOTH[0]),
        ("", BOTH[0]),
        ("*/*", BOTH[0]),
        ("text/event-stream", BOTH[1]),
        ("TEXT/event-stream, */*;q=0.1", BOTH[1]),
        ("application/json;q=0.5, text/*", BOTH[1]),
        ("application/json;q=0, */*", BOTH[1]),
        ("application/json; charset=utf-8", BOTH[0]),
    ],
)
def test_accept_chooses(accept: str | None, chosen: str) -> None:
    assert choose(accept, BOTH) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "application/json;q=x", "application/xml, text/html"]
)
def test_what_nobody_offers_is_not_acceptable(accept: str) -> None:
    with pytest.raises(StoreError) as caught:
        choose(accept, BOTH[:1])
    assert caught.value.kind is ErrorKind.NOT_ACCEPTABLE
