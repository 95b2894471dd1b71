"""Sizes, durations and the rest as people write them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.server.values import COUNT, DURATION, FLAG, SIZE, TEXT, one_of


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("1 B", 1),
        ("4k", 4096),
        ("4 KB", 4096),
        ("16 MiB", 16 << 20),
        ("2GiB", 2 << 30),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert SIZE.parse(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5 MiB", "16 megabytes", "MiB", -1, True, 1.5, None])
def test_what_is_no_size_is_refused_with_examples(text: object) -> None:
    with pytest.raises(ValueError, match="16 MiB"):
        SIZE.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("30", 30),
        ("500 ms", 0.5),
        ("1.5s", 1.5),
        ("15 min", 900),
        ("2m", 120),
        ("24 h", 86400),
        ("7d", 604800),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert DURATION.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1 fortnight", "h", -1, True, None])
def test_what_is_no_duration_is_refused_with_examples(text: object) -> None:
    with pytest.raises(ValueError, match="24 h"):
        DURATION.parse(text)


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_reads_back_as_it_is_printed(size: int) -> None:
    assert SIZE.parse(SIZE.render(size)) == size


@given(st.integers(min_value=0, max_value=10**7))
def test_a_duration_reads_back_as_it_is_printed(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert DURATION.parse(DURATION.render(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_durations_are_printed_in_the_unit_people_use() -> None:
    assert [DURATION.render(seconds) for seconds in (0.5, 60, 75, 3600, 86400, 172800)] == [
        "0.5 s",
        "1 min",
        "75 s",
        "1 h",
        "24 h",
        "2 d",
    ]


def test_flags() -> None:
    assert [FLAG.parse(word) for word in ("true", "Yes", "on", "1", True)] == [True] * 5
    assert [FLAG.parse(word) for word in ("false", "No", "off", "0", False)] == [False] * 5
    for other in ("", "maybe", 1, None):
        with pytest.raises(ValueError, match="true or false"):
            FLAG.parse(other)


def test_counts_and_texts() -> None:
    assert COUNT.parse(" 12 ") == COUNT.parse(12) == 12
    for other in ("-1", "1.0", "٣", True, -1):
        with pytest.raises(ValueError, match="whole number"):
            COUNT.parse(other)
    assert TEXT.parse(" x ") == "x"
    with pytest.raises(ValueError, match="not empty"):
        TEXT.parse("  ")


def test_one_of_names_its_words() -> None:
    kind = one_of("text", "json")
    assert kind.parse("JSON") == "json"
    assert kind.unit == "text or json"
    with pytest.raises(ValueError, match="text, json"):
        kind.parse("xml")
