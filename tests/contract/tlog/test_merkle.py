"""The tree against the vectors of RFC 6962's first implementation, and against its definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.contract.tlog.merkle import EMPTY_ROOT, WIDTH, Tree, leaf_hash, tree_hash
from registry.contract.tlog.tiles import all_tiles

#: Leaves and roots that the tests of Certificate Transparency's implementations share.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined(leaves[:split]) + defined(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_vectors(size: int) -> None:
    leaves = [leaf_hash(entry) for entry in LEAVES[:size]]
    assert tree_hash(leaves).hex() == ROOTS[size]
    assert grown(leaves).root().hex() == ROOTS[size]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * WIDTH + 5))
def test_a_tree_has_the_root_that_the_definition_gives(size: int) -> None:
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(size)]
    assert grown(leaves).root() == defined(leaves)


def test_a_tree_of_three_levels_is_known_by_its_rightmost_tiles() -> None:
    size = 70_000
    tree, tiles = Tree(), []
    leaves = [leaf_hash(number.to_bytes(4)) for number in range(size)]
    for leaf in leaves:
        tiles += tree.append(leaf)
    partial = tree.partial()
    assert [(tile.level, tile.index, len(tile.hashes)) for tile in partial] == [
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]
    assert tree.root() == defined(leaves)
    again = Tree([tile.hashes for tile in partial])
    assert (again.size, again.root()) == (size, tree.root())
    made = {(tile.level, tile.index, len(tile.hashes)) for tile in (*tiles, *partial)}
    assert made == {(place.level, place.index, place.width) for place in all_tiles(size)}
    for tile in tiles:
        if tile.level == 1:
            first = tile.index * WIDTH**2
            assert tile.hashes[0] == tree_hash(leaves[first : first + WIDTH])


def test_a_copy_grows_on_its_own() -> None:
    tree = grown([leaf_hash(b"a")])
    tree.copy().append(leaf_hash(b"b"))
    assert (tree.size, tree.root()) == (1, leaf_hash(b"a"))
    assert Tree().root() == EMPTY_ROOT
