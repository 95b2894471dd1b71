"""Deterministic CBOR: round trips, one form only, cbor2 held to it, and nothing but CborError."""

from __future__ import annotations

import re
import tracemalloc
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any
from uuid import UUID

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


class Half(float):
    pass


class OwnHash(str):
    """Equal to nothing but itself, so that a dict holds it twice."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


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
def test_cbor2_canonical_writes_the_same(value: Any) -> None:
    """The head of a text grows with its length, so RFC 7049's length-first order coincides for text keys."""
    assert encode(value) == cbor2.dumps(value, canonical=True)


@patient
@given(finite)
def test_a_number_has_one_form_however_python_spells_it(number: float) -> None:
    if number.is_integer() and abs(number) <= SAFE:
        assert encode(number) == encode(int(number))
        assert type(decode(encode(number))) is int
    else:
        assert encode(number) == cbor2.dumps(number, canonical=True)


@patient
@given(st.dictionaries(text, st.none()), st.randoms())
def test_the_order_of_insertion_does_not_matter(value: dict[str, None], random: Any) -> None:
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
    value = MappingProxyType({Colour.RED: Level.LOW, "t": (1, Colour.RED), "o": OrderedDict(a=Half(0.5))})
    assert same(decode(encode(value)), {"o": {"a": 0.5}, "t": [1, "red"], "red": 1})


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), float("-inf"), 2**64, -(2**64) - 1, "\ud800", {"\udfff": 1}, {True: 1},
        {None: 1}, {1: 1}, {b"k": 1}, {1.5: 1}, {(1,): 1}, {1, 2}, Decimal(1), object(),
        datetime(2024, 1, 1, tzinfo=UTC), bytearray(b"x"), 1j, [{"a": [float("nan")]}], TwoOfAKey(),
        {OwnHash("k"): 1, OwnHash("k"): 2}, frozenset(), Fraction(1, 2), UUID(int=0), re.compile("a"),
        cbor2.undefined, cbor2.CBORTag(1, 1), cbor2.CBORSimpleValue(1),
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


def test_whoever_asks_for_more_depth_has_it() -> None:
    data = b"\x81" * 449 + b"\x80"
    assert encode(decode(data, max_depth=450), max_depth=450) == data
    with pytest.raises(CborError, match="nest"):
        decode(data, max_depth=449)


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


#: The tags cbor2 has decoders for, the first and last of each width, and one that is nobody's.
TAGS = (
    *range(41), 52, 54, 100, 255, 256, 258, 260, 261, 1004, 43000, 55799, 65535, 65536,
    2**32 - 1, 2**32, 2**64 - 1,
)  # fmt: skip
#: What the decoders would take: numbers, a date, bytes, pairs; nothing at all; and what is no CBOR.
CONTENTS = ("01", "6a323032342d30312d3031", "4101", "820101", "8218200f", "80", "a0", "f6", "", "ff", "1c")


@pytest.mark.parametrize("around", ["", "81", "a16161", "a1"], ids=["whole", "item", "member", "key"])
def test_a_tag_is_refused_before_its_content_is_read(around: str) -> None:
    for tag in TAGS:
        head = bytes.fromhex(around) + cbor2.dumps(cbor2.CBORTag(tag, None))[:-1]
        for content in CONTENTS:
            with pytest.raises(CborError, match=f"tag {tag} has no place"):
                decode(head + bytes.fromhex(content))


@pytest.mark.parametrize("initial", ["5b", "7b", "9b", "bb"], ids=["bytes", "text", "array", "map"])
@pytest.mark.parametrize("length", [2**40, 2**63 - 1, 2**64 - 1])
def test_a_length_that_is_only_claimed_takes_no_memory(initial: str, length: int) -> None:
    data = bytes.fromhex(initial) + length.to_bytes(8, "big") + bytes.fromhex("616100")
    tracemalloc.start()
    try:
        with pytest.raises(CborError, match="premature end"):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_the_fault_is_told() -> None:
    with pytest.raises(CborError, match="Undefined"):
        decode(bytes.fromhex("830102f7"))
    with pytest.raises(CborError, match="premature end"):
        decode(bytes.fromhex("816261"))
    with pytest.raises(CborError, match="indefinite"):
        decode(bytes.fromhex("9fff"))
    with pytest.raises(CborError, match="can't decode byte 0xff"):
        decode(bytes.fromhex("61ff"))
    with pytest.raises(CborError, match="surrogates not allowed"):
        encode("\ud800")
    with pytest.raises(CborError, match="another byte belongs at offset 2"):
        decode(bytes.fromhex("82011800"))
    with pytest.raises(CborError, match="bytes follow the value, at offset 2"):
        decode(bytes.fromhex("810000"))


def test_a_long_key_is_not_repeated_in_whole() -> None:
    key = encode("k" * 1_000_000)
    with pytest.raises(CborError, match="Duplicate map key: 'kkk") as caught:
        decode(b"\xa2" + key + b"\0" + key + b"\0")
    assert len(str(caught.value)) < 1000


def assert_one_form(data: bytes) -> None:
    try:
        value = decode(data)
    except CborError:
        return
    assert encode(value) == data
