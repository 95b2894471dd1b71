"""The canonical package manifest: one form, one digest, whatever order things were said in."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract import cbor
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import OCI_MANIFEST, Descriptor
from registry.contract.package import (
    MAX_PACKAGE_BYTES,
    PackageFile,
    PackageManifest,
    decode_package,
    encode_package,
    package_digest,
)
from tests.contract.strategies import cbor_values, packages, patient

BLAKE3 = Digest.of(b"", Algorithm.BLAKE3)
SHA256 = Digest.of(b"", Algorithm.SHA256)


def file(path: str, **changes: Any) -> PackageFile:
    return replace(PackageFile(path, 0, BLAKE3, SHA256), **changes)


def refused(package: PackageManifest) -> StoreError:
    with pytest.raises(StoreError) as caught:
        encode_package(package)
    return caught.value


@patient
@given(packages())
def test_what_was_encoded_is_decoded(package: PackageManifest) -> None:
    data = encode_package(package)
    assert decode_package(data) == package
    assert encode_package(decode_package(data)) == data


@patient
@given(packages(), st.randoms())
def test_the_order_in_which_things_are_said_does_not_matter(package: PackageManifest, random: Random) -> None:
    def shuffled(items: Any) -> list[Any]:
        return random.sample(list(items), len(items))

    other = replace(
        package,
        metadata=dict(shuffled(package.metadata.items())),
        labels=dict(shuffled(package.labels.items())),
        files=tuple(shuffled(package.files)),
    )
    assert other == package
    assert encode_package(other) == encode_package(package)


@patient
@given(packages(), packages())
def test_other_packages_have_other_digests(one: PackageManifest, other: PackageManifest) -> None:
    digests = [package_digest(encode_package(package)) for package in (one, other)]
    assert (digests[0] == digests[1]) == (encode_package(one) == encode_package(other))
    assert digests[0].algorithm is Algorithm.BLAKE3


@patient
@given(packages(), st.data())
def test_a_changed_byte_is_refused_or_another_package(package: PackageManifest, data: st.DataObject) -> None:
    encoded = bytearray(encode_package(package))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    assert_one_form(bytes(encoded))


@patient
@given(st.binary(max_size=60) | cbor_values().map(cbor.encode))
def test_any_bytes_are_a_package_or_refused(data: bytes) -> None:
    assert_one_form(data)


MEMBERS = st.fixed_dictionaries(
    {key: cbor_values() for key in ("variant", "metadata", "labels", "files", "subject")} | {"v": st.just(1)}
)


@patient
@given(MEMBERS)
def test_any_members_are_a_package_or_refused(members: dict[str, Any]) -> None:
    assert_one_form(cbor.encode(members))


def test_numbers_of_metadata_have_one_form() -> None:
    one = PackageManifest(metadata={"a": 1.0, "b": -0.0, "c": [2.5]})
    assert encode_package(one) == encode_package(PackageManifest(metadata={"a": 1, "b": 0, "c": [2.5]}))


def test_the_name_of_a_file_is_in_the_digest_and_its_place_is_not() -> None:
    files = (file("b"), file("a"))
    assert encode_package(PackageManifest(files=files)) == encode_package(PackageManifest(files=files[::-1]))
    assert encode_package(PackageManifest(files=(file("a"),))) != encode_package(
        PackageManifest(files=(file("b"),))
    )


def test_every_fault_is_named() -> None:
    package = PackageManifest(
        variant="",
        metadata={"x": [2**53, float("nan")]},
        labels={"dev.artifact-store.digest": "", "ok": "fine"},
        files=(file("a"), file("a/b"), file("../c", media_type="text")),
    )
    assert [error.path for error in refused(package).errors] == [
        "/variant",
        "/metadata/x/0",
        "/metadata/x/1",
        "/labels/dev.artifact-store.digest",
        "/files/0/relative_path",  # "../c" sorts first
        "/files/0/media_type",
        "/files/2/relative_path",
    ]


@pytest.mark.parametrize(
    ("package", "path"),
    [
        (PackageManifest(files=(file("a", size=-1),)), "/files/0/size"),
        (PackageManifest(files=(file("a", size=2**53),)), "/files/0/size"),
        (PackageManifest(files=(file("a", size=True),)), "/files/0/size"),
        (PackageManifest(files=(file("a", blake3=SHA256),)), "/files/0"),
        (PackageManifest(files=(file("a", sha256=BLAKE3),)), "/files/0"),
        (PackageManifest(subject=Descriptor("", SHA256, 1)), "/subject/media_type"),
        (PackageManifest(subject=Descriptor(OCI_MANIFEST, SHA256, -1)), "/subject/size"),
        (PackageManifest(subject=Descriptor(OCI_MANIFEST, SHA256, 1, {"a": "b"})), "/subject"),
        (PackageManifest(subject=Descriptor(OCI_MANIFEST, SHA256, 1, artifact_type="a/b")), "/subject"),
    ],
)
def test_what_has_no_place_in_a_package_is_not_encoded(package: PackageManifest, path: str) -> None:
    error = refused(package)
    assert error.kind is ErrorKind.VALIDATION_FAILED
    assert [fault.path for fault in error.errors] == [path]


def test_metadata_of_one_mebibyte_is_the_most() -> None:
    # {"a": text} takes 1 + 2 + 5 bytes around the text.
    text = "x" * (1024 * 1024 - 8)
    assert decode_package(encode_package(PackageManifest(metadata={"a": text}))).metadata == {"a": text}
    assert [fault.path for fault in refused(PackageManifest(metadata={"a": text + "x"})).errors] == [
        "/metadata"
    ]


def test_metadata_may_be_as_deep_as_the_codec_allows() -> None:
    def nested(levels: int) -> dict[str, JsonValue]:
        value: dict[str, JsonValue] = {}
        for _ in range(levels - 1):
            value = {"k": value}
        return value

    deepest = PackageManifest(metadata=nested(63))
    assert decode_package(encode_package(deepest)) == deepest
    assert [fault.path for fault in refused(PackageManifest(metadata=nested(64))).errors] == [
        "/metadata" + "/k" * 63
    ]


def test_a_package_beyond_all_bounds_is_too_large() -> None:
    with pytest.raises(StoreError) as caught:
        decode_package(bytes(MAX_PACKAGE_BYTES + 1))
    assert caught.value.kind is ErrorKind.PACKAGE_TOO_LARGE
    files = tuple(file(f"{index:05}{'x' * 250}") for index in range(18_000))
    assert refused(PackageManifest(files=files)).kind is ErrorKind.PACKAGE_TOO_LARGE


def assert_one_form(data: bytes) -> None:
    try:
        package = decode_package(data)
    except StoreError as error:
        assert error.kind is ErrorKind.VALIDATION_FAILED
        assert error.errors
    else:
        assert encode_package(package) == data
