"""Hypothesis strategies for the contract's values, and the sharpest comparison of them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from registry.contract.digest import Algorithm, Digest
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import OCI_MANIFEST, Descriptor
from registry.contract.package import PackageFile, PackageManifest

SAFE = 2**53 - 1

#: A busy machine is no fault of the code: whether a property holds does not depend on the clock.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_LEAVES = 12

text = st.text(st.characters(codec="utf-8"), max_size=30)
finite = st.floats(allow_nan=False, allow_infinity=False)
fractions = finite.filter(lambda number: not number.is_integer() or abs(number) > SAFE)


#: The numbers of JSON in their one form.
normal_numbers: st.SearchStrategy[int | float] = st.integers(-SAFE, SAFE) | fractions


def json_values(numbers: st.SearchStrategy[int | float] = normal_numbers) -> st.SearchStrategy[JsonValue]:
    """JSON values with the given numbers."""
    scalars = st.none() | st.booleans() | text | numbers
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
        max_leaves=_LEAVES,
    )


def cbor_values() -> st.SearchStrategy[Any]:
    """All that the CBOR data model holds, in its normal form."""
    scalars = (
        st.none()
        | st.booleans()
        | text
        | st.integers(-(2**64), 2**64 - 1)
        | fractions
        | st.binary(max_size=30)
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
        max_leaves=_LEAVES,
    )


def digests(algorithm: Algorithm) -> st.SearchStrategy[Digest]:
    return st.binary(max_size=8).map(lambda data: Digest.of(data, algorithm))


segments = st.text("abAB-. é", min_size=1, max_size=4).filter(lambda segment: segment not in (".", ".."))
#: All paths of a package at the same depth, so that none is the folder of another.
path_sets = st.lists(st.tuples(segments, segments).map("/".join), max_size=6, unique=True)


@st.composite
def packages(draw: st.DrawFn) -> PackageManifest:
    """Acceptable packages of every shape."""
    files = tuple(
        PackageFile(
            path,
            draw(st.integers(0, SAFE)),
            draw(digests(Algorithm.BLAKE3)),
            draw(digests(Algorithm.SHA256)),
            draw(st.sampled_from(["application/octet-stream", "text/plain", "application/vnd.x+json"])),
        )
        for path in draw(path_sets)
    )
    label_keys = st.text("abc.-/é", min_size=1, max_size=10)
    return PackageManifest(
        variant=draw(st.none() | st.from_regex(r"[a-z][a-z0-9.+-]{0,20}", fullmatch=True)),
        metadata=draw(st.dictionaries(text, json_values(), max_size=3)),
        labels=draw(st.dictionaries(label_keys, st.text("xyz \n😀", max_size=10), max_size=4)),
        files=files,
        subject=draw(
            st.none()
            | st.builds(
                Descriptor,
                st.just(OCI_MANIFEST),
                st.sampled_from(Algorithm).flatmap(digests),
                st.integers(0, SAFE),
            )
        ),
    )


def same(left: Any, right: Any) -> bool:
    """Equal in type too, all the way down: Python holds 1, 1.0 and True for the same."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        pairs = zip(sorted(left.items(), key=repr), sorted(right.items(), key=repr), strict=False)
        return len(left) == len(right) and all(
            same(key, other) and same(value, found) for (key, value), (other, found) in pairs
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
