"""Digests: the published test values, one spelling, and the same result in any number of pieces."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.digest import ALWAYS, Algorithm, Digest, MultiHasher, new_hasher, parse_algorithm
from registry.contract.errors import ErrorKind, StoreError
from tests.contract.strategies import patient

# FIPS 180-4 examples; test_vectors.json of the BLAKE3 repository, input_len 0, 1 and 3.
PUBLISHED = {
    (Algorithm.SHA256, b""): "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    (Algorithm.SHA256, b"abc"): "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    (Algorithm.SHA512, b"abc"): "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    (Algorithm.BLAKE3, b""): "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    (Algorithm.BLAKE3, b"\x00"): "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    (Algorithm.BLAKE3, b"\x00\x01\x02"): "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f",
}


@pytest.mark.parametrize(("algorithm", "data"), PUBLISHED)
def test_published_values(algorithm: Algorithm, data: bytes) -> None:
    assert Digest.of(data, algorithm).hex == PUBLISHED[algorithm, data]


@patient
@given(st.sampled_from(Algorithm), st.binary())
def test_the_text_of_a_digest_reads_back(algorithm: Algorithm, data: bytes) -> None:
    digest = Digest.of(data, algorithm)
    assert Digest.parse(str(digest)) == digest
    assert digest.matches(Digest.parse(str(digest)))


@patient
@given(st.text(max_size=90) | st.from_regex(r"(sha256|blake3|sha512|md5):[0-9a-fA-F]{62,66}", fullmatch=True))
def test_any_text_is_one_spelling_of_a_digest_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except StoreError as error:
        assert error.kind is ErrorKind.DIGEST_INVALID
    else:
        assert str(digest) == text


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "sha256", "sha256:", "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "A" * 64,
        "SHA256:" + "a" * 64, "sha256:" + "g" * 64, "sha256:" + "a" * 64 + "\n", " sha256:" + "a" * 64,
        "sha256:../" + "a" * 61, "sha512:" + "a" * 64, "blake3:" + "a" * 128, "md5:" + "a" * 32,
        "sha256+b64u:" + "a" * 64, "sha256:" + "\u0660" * 64, "sha256:" + "a" * 5000,
    ],
)  # fmt: skip
def test_bad_digests_are_refused(text: str) -> None:
    with pytest.raises(StoreError) as caught:
        Digest.parse(text)
    assert caught.value.kind is ErrorKind.DIGEST_INVALID


def test_digests_differ_by_value_and_by_algorithm() -> None:
    same_hex = "a" * 64
    digest = Digest(Algorithm.SHA256, same_hex)
    assert not digest.matches(Digest(Algorithm.BLAKE3, same_hex))
    assert not digest.matches(Digest(Algorithm.SHA256, "b" * 64))
    assert len({digest, Digest(Algorithm.SHA256, same_hex), Digest(Algorithm.BLAKE3, same_hex)}) == 2


@patient
@given(st.lists(st.binary(max_size=50), max_size=6), st.sets(st.sampled_from(Algorithm)))
def test_pieces_make_the_digests_of_the_whole(pieces: list[bytes], algorithms: set[Algorithm]) -> None:
    hasher = MultiHasher(algorithms)
    for piece in pieces:
        hasher.update(memoryview(piece))
    whole = b"".join(pieces)
    assert hasher.digests() == {algorithm: Digest.of(whole, algorithm) for algorithm in algorithms}
    assert hasher.algorithms == algorithms


def test_without_a_wish_both_algorithms_are_computed() -> None:
    hasher = MultiHasher()
    hasher.update(b"abc")
    assert tuple(hasher.digests()) == ALWAYS == (Algorithm.BLAKE3, Algorithm.SHA256)


def test_one_hasher_can_be_fed_alone() -> None:
    hasher = MultiHasher()
    hasher.hasher(Algorithm.SHA256).update(b"abc")
    assert hasher.digests()[Algorithm.SHA256].hex == hashlib.sha256(b"abc").hexdigest()
    assert hasher.digests()[Algorithm.BLAKE3] == Digest.of(b"", Algorithm.BLAKE3)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_has_an_implementation(algorithm: Algorithm) -> None:
    assert parse_algorithm(algorithm.value) is algorithm
    assert len(new_hasher(algorithm).hexdigest()) in (64, 128)


@pytest.mark.parametrize("name", ["", "md5", "SHA256", "sha-256"])
def test_other_algorithms_are_unknown(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_algorithm(name)
    assert caught.value.kind is ErrorKind.DIGEST_INVALID
