"""Names and bytes of tiles and bundles, with the examples that the specification gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.tlog import tiles
from registry.contract.tlog.tiles import Place, TileError, place_of

PLACES = st.builds(
    Place,
    st.none() | st.integers(0, 63),
    st.integers(0, 2**40),
    st.integers(1, 256),
)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place(0, 0), "tile/0/000"),
        (Place(0, 1234067), "tile/0/x001/x234/067"),
        (Place(None, 1234067, 8), "tile/entries/x001/x234/067.p/8"),
        (Place(1, 1, 17), "tile/1/001.p/17"),
    ],
)
def test_names_are_those_of_the_specification(place: Place, name: str) -> None:
    assert place.name == name
    assert place_of(name) == place


@given(PLACES)
def test_every_place_has_a_name_of_its_own(place: Place) -> None:
    assert place_of(place.name) == place


@pytest.mark.parametrize(
    "name",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/0/1",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/01",
        "checkpoint",
        "tile/0/000/001",
    ],
)
def test_other_names_are_no_places(name: str) -> None:
    assert place_of(name) is None


def test_a_tree_of_70000_has_the_tiles_of_the_specifications_example() -> None:
    found = list(tiles.all_tiles(70_000))
    full = [place for place in found if place.width == 256]
    assert [sum(place.level == level for place in full) for level in range(3)] == [273, 1, 0]
    partial = [place for place in found if place.width < 256]
    assert partial == tiles.rightmost(70_000) == [Place(0, 273, 112), Place(1, 1, 17), Place(2, 0, 1)]
    assert tiles.rightmost(256) == [Place(1, 0, 1)]
    assert len(list(tiles.bundles(70_000))) == 274
    assert list(tiles.bundles(512)) == [Place(None, 0), Place(None, 1)]
    assert list(tiles.bundles(700, 1)) == [Place(None, 1), Place(None, 2, 188)]


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    data = tiles.join(entries)
    assert tiles.part(data, len(entries)) == entries
    if entries:
        with pytest.raises(TileError, match=r"middle of an entry|entries where"):
            tiles.part(data[:-1], len(entries))
        with pytest.raises(TileError, match="where"):
            tiles.part(data, len(entries) + 1)


def test_lengths_are_big_endian_and_reach_the_largest_envelope() -> None:
    assert tiles.join([b"ab"]) == b"\x00\x02ab"
    largest = b"x" * 65_535
    assert tiles.part(tiles.join([largest]), 1) == [largest]


def test_a_torn_tile_is_refused() -> None:
    assert tiles.cut(b"a" * 64, 1) == [b"a" * 32]
    for data in (b"a" * 63, b"a" * 31, b""):
        with pytest.raises(TileError, match="hashes of 32 belong"):
            tiles.cut(data, 1)
