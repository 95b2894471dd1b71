"""Deterministic CBOR: round trips, one form only, agreement with cbor2, and nothing but CborError."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.cbor import MAX_DEPTH, CborError, decode, encode
from tests.contract.strategies import SAFE, cbor_values, finite, json_values, patient, same, text


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class TwoOfAKey(Mapping[str, int]):
    """A multi-mapping such as HTTP headers, whose items repeat a key."""

    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Any:
        return iter(("a", "a"))

    def __len__(self) -> int:
        return 2


@patient
@given(cbor_values())
def test_what_was_encoded_is_decoded(value: Any) -> None:
    assert same(decode(encode(value)), value)


@patient
@given(st.binary(max_size=40))
def test_bytes_are_refused_or_are_the_one_form(data: bytes) -> None:
    assert_one_form(data)


@patient
@given(cbor_values(), st.data())
def test_a_changed_encoding_is_refused_or_is_the_one_form(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(encoded)))
        action = data.draw(st.sampled_from(("set", "insert", "delete")))
        if action == "insert":
            encoded.insert(at, data.draw(st.integers(0, 255)))
        elif at < len(encoded) and action == "set":
            encoded[at] = data.draw(st.integers(0, 255))
        elif at < len(encoded):
            del encoded[at]
    assert_one_form(bytes(encoded))


@patient
@given(cbor_values(), st.data())
def test_no_proper_part_of_an_encoding_is_accepted(value: Any, data: st.DataObject) -> None:
    encoded = encode(value)
    with pytest.raises(CborError):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@patient
@given(cbor_values())
def test_any_other_encoding_of_a_value_is_refused(value: Any) -> None:
    """cbor2 writes the same value in several ways, of which at most one is ours."""
    ours = encode(value)
    for theirs in (
        cbor2.dumps(value),
        cbor2.dumps(value, canonical=True),
        cbor2.dumps(value, indefinite_containers=True),
    ):
        if theirs != ours:
            with pytest.raises(CborError):
                decode(theirs)


@patient
@given(cbor_values())
def test_cbor2_reads_what_is_written(value: Any) -> None:
    assert same(cbor2.loads(encode(value)), value)


@patient
@given(json_values())
def test_with_text_keys_only_cbor2_canonical_writes_the_same(value: Any) -> None:
    """The head of a short text is its length, so RFC 7049's length-first order coincides here."""
    assert encode(value) == cbor2.dumps(value, canonical=True)


def test_with_mixed_keys_cbor2_canonical_does_not() -> None:
    value = {100: 0, -1: 0}
    assert encode(value) == bytes.fromhex("a2 1864 00 20 00")
    assert cbor2.dumps(value, canonical=True) == bytes.fromhex("a2 20 00 1864 00")


@patient
@given(finite)
def test_a_number_has_one_form_however_python_spells_it(number: float) -> None:
    if number.is_integer() and abs(number) <= SAFE:
        assert encode(number) == encode(int(number))
        assert type(decode(encode(number))) is int
    else:
        assert encode(number) == cbor2.dumps(number, canonical=True)


@patient
@given(st.dictionaries(text | st.integers(-300, 300), st.none()), st.randoms())
def test_the_order_of_insertion_does_not_matter(value: dict[str | int, None], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert encode(dict.fromkeys(keys)) == encode(value)


def test_an_envelope_byte_by_byte() -> None:
    """Written by hand from RFC 8949 section 3."""
    value = {"seq": 1000, "v": 1, "data": {"tags": ["a", None], "ok": True}, "f": -0.5, "b": b"\x01"}
    assert encode(value) == bytes.fromhex(
        "a5"  # map of 5
        "6162 4101"  # "b": h'01'
        "6166 f9b800"  # "f": -0.5 in 16 bits
        "6176 01"  # "v": 1
        "63736571 1903e8"  # "seq": 1000
        "6464617461 a2"  # "data": map of 2
        "626f6b f5"  # "ok": true
        "6474616773 82 6161 f6"  # "tags": ["a", null]
    )


def test_subclasses_are_written_as_what_they_extend() -> None:
    value = MappingProxyType({Colour.RED: Level.LOW, "t": (1, Colour.RED)})
    assert decode(encode(value)) == {"t": [1, "red"], "red": 1}


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), float("-inf"), 2**64, -(2**64) - 1, "\ud800", {"\udfff": 1}, {True: 1},
        {None: 1}, {b"k": 1}, {1.5: 1}, {(1,): 1}, {1, 2}, Decimal(1), object(),
        datetime(2024, 1, 1, tzinfo=UTC), bytearray(b"x"), 1j, [{"a": [float("nan")]}], TwoOfAKey(),
        cbor2.undefined, cbor2.CBORTag(1, 1),
    ],
)  # fmt: skip
def test_what_has_no_place_is_not_encoded(value: object) -> None:
    with pytest.raises(CborError):
        encode(value)


@pytest.mark.parametrize(("empty", "wrap"), [([], lambda inner: [inner]), ({}, lambda inner: {"k": inner})])
def test_nesting_ends_at_the_limit(empty: Any, wrap: Any) -> None:
    value = empty
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    data = encode(value)
    assert decode(data) == value
    with pytest.raises(CborError, match="nested"):
        encode(wrap(value))
    with pytest.raises(CborError, match="nested"):
        decode(encode(wrap(value), max_depth=MAX_DEPTH + 1))
    assert encode("scalar", max_depth=0)


def test_endless_nesting_and_cycles_are_errors_not_crashes() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CborError):
        encode(endless)
    with pytest.raises(CborError):
        decode(b"\x81" * 1_000_000)


def test_size_ends_at_the_limit() -> None:
    data = encode("x" * 100)
    assert encode("x" * 100, max_bytes=len(data)) == data
    assert decode(data, max_bytes=len(data)) == "x" * 100
    with pytest.raises(CborError, match="more than"):
        encode("x" * 100, max_bytes=len(data) - 1)
    with pytest.raises(CborError, match="more than"):
        decode(data, max_bytes=len(data) - 1)


def test_the_place_of_a_fault_is_told() -> None:
    with pytest.raises(CborError, match="offset 3"):
        decode(bytes.fromhex("830102f7"))
    with pytest.raises(CborError, match="length at offset 1 reaches beyond"):
        decode(bytes.fromhex("816261"))


def assert_one_form(data: bytes) -> None:
    try:
        value = decode(data)
    except CborError:
        return
    assert encode(value) == data
