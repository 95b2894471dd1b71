"""Strict JSON: what is read equals what other readers read, and every fault is named with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract import cbor
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import canonical, normalise, parse, pointer
from tests.contract.strategies import SAFE, finite, json_values, patient, same

LIMIT = 1024 * 1024


def refused(data: bytes, **limits: int) -> StoreError:
    with pytest.raises(StoreError) as caught:
        parse(data, **{"max_bytes": LIMIT, **limits})
    return caught.value


@patient
@given(json_values())
def test_what_is_written_is_read(value: Any) -> None:
    for ensure_ascii in (True, False):
        written = json.dumps(value, ensure_ascii=ensure_ascii).encode()
        assert same(parse(written, max_bytes=LIMIT), value)


@patient
@given(json_values(st.integers(-SAFE, SAFE) | finite))
def test_normalising_changes_no_value_and_is_idempotent(value: Any) -> None:
    once = normalise(value)
    assert once == value
    assert same(normalise(once), once)


@patient
@given(json_values(st.integers(-SAFE, SAFE) | finite))
def test_cbor_keeps_what_is_normal(value: Any) -> None:
    assert same(cbor.decode(cbor.encode(value)), normalise(value))


@patient
@given(json_values())
def test_the_canonical_form_says_the_same_and_is_stable(value: Any) -> None:
    written = canonical(value)
    read = json.loads(written, parse_int=float)  # as in JavaScript, where RFC 8785 comes from
    assert read == value
    assert canonical(read) == written


@patient
@given(json_values(st.integers(-SAFE, SAFE)))
def test_without_fractions_the_canonical_form_is_read_back(value: Any) -> None:
    assert same(parse(canonical(value), max_bytes=LIMIT), value)


@patient
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8e1.-NaInfty ', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = parse(data, max_bytes=LIMIT)
    except StoreError as error:
        assert error.kind is ErrorKind.VALIDATION_FAILED
        assert error.errors
    else:
        assert same(normalise(value), value)
        assert json.loads(data) == value


@patient
@given(st.lists(st.text(max_size=5) | st.integers(0, 9), max_size=4))
def test_every_place_can_be_printed(path: list[str | int]) -> None:
    assert pointer(path).encode("utf-8").count(b"/") == len(path)


def test_pointers_escape() -> None:
    assert pointer(()) == ""
    assert pointer(("a/b", "m~n", 0, "")) == "/a~1b/m~0n/0/"
    assert pointer(("\ud800",)) == "/\\ud800"


def test_every_fault_is_named() -> None:
    data = b'{"a": {"k": 1, "k": 2}, "b": [NaN, 1e400, 9007199254740992, "\\ud800"], "\\udc00": 1}'
    assert [error.path for error in refused(data).errors] == [
        "/a/k",
        "/b/0",
        "/b/1",
        "/b/2",
        "/b/3",
        "/\\udc00",
    ]


def test_the_list_of_faults_is_bounded() -> None:
    assert len(refused(b"[" + b"NaN," * 5000 + b"NaN]").errors) == 100


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b"[[],", b'[{"a":'])
def test_no_depth_is_too_much_for_the_reader(unit: bytes) -> None:
    assert refused(unit * 100_000).kind is ErrorKind.VALIDATION_FAILED


def test_depth_ends_at_the_limit() -> None:
    assert parse(b"[" * 3 + b"]" * 3, max_depth=3, max_bytes=LIMIT) == [[[]]]
    assert parse(b"1", max_depth=0, max_bytes=LIMIT) == 1
    assert [e.path for e in refused(b'[1,[{"a":[]}]]', max_depth=3).errors] == ["/1/0/a"]


def test_size_ends_at_the_limit() -> None:
    assert parse(b'"abc"', max_bytes=5) == "abc"
    assert refused(b'"abc"', max_bytes=4).kind is ErrorKind.TOO_LARGE


def test_long_numbers_cost_nothing() -> None:
    assert refused(b"9" * 500_000).errors[0].path == ""
    assert parse(b"0." + b"3" * 500_000, max_bytes=LIMIT) == 1 / 3


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), "\ud800", {"\ud800": 1}, {1: 2}, b"x", {1, 2}, object()],
)
def test_what_json_cannot_say_is_not_normalised(value: object) -> None:
    with pytest.raises(StoreError) as caught:
        normalise([value])
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    assert caught.value.errors[0].path.startswith("/0")


@pytest.mark.parametrize("value", [float("nan"), 2**53, "\ud800", {"\ud800": 1}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(StoreError) as caught:
        canonical(value)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
