"""The golden vectors of conformance/vectors, which the store has to write and take byte for byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from registry.contract import cbor
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import canonical, normalise, parse
from registry.contract.manifest import Descriptor
from registry.contract.package import (
    PackageFile,
    PackageManifest,
    decode_package,
    encode_package,
    package_digest,
)
from registry.contract.package_oci import matches_oci_manifest, to_oci_manifest
from registry.contract.package_rules import check_package, check_relative_path
from tests.contract.strategies import same

VECTORS = Path(__file__).parents[2] / "conformance" / "vectors"
LIMIT = 1024 * 1024


def load(name: str, group: str) -> list[Any]:
    """One group of vectors, each a dict, with an id for pytest."""
    rows = json.loads((VECTORS / name).read_text(encoding="ascii"))[group]
    return [pytest.param(row, id=f"{group}-{index}") for index, row in enumerate(rows)]


def from_notation(value: Any) -> Any:
    """The value that the notation of conformance/vectors/README.md stands for."""
    if isinstance(value, list):
        return [from_notation(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "int":
        return int(content)
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if kind == "bytes":
        return bytes.fromhex(content)
    return {from_notation(key): from_notation(item) for key, item in content}


@pytest.mark.parametrize("vector", load("cbor.json", "accepted"))
def test_cbor_both_ways(vector: dict[str, Any]) -> None:
    value, data = from_notation(vector["value"]), bytes.fromhex(vector["hex"])
    assert cbor.encode(value) == data
    assert same(cbor.decode(data), value)


@pytest.mark.parametrize("vector", load("cbor.json", "refused"))
def test_cbor_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", load("json-numbers.json", "accepted"))
def test_number_literals(vector: dict[str, Any]) -> None:
    value = parse(vector["literal"].encode(), max_bytes=LIMIT)
    assert same(value, from_notation(vector["value"]))
    assert cbor.encode(value).hex() == vector["cbor"]
    assert canonical(value).decode() == vector["canonical"]


@pytest.mark.parametrize("vector", load("json-numbers.json", "refused"))
def test_number_literals_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        parse(vector["literal"].encode(), max_bytes=LIMIT)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED


@pytest.mark.parametrize("vector", load("json-numbers.json", "canonical"))
def test_canonical_numbers(vector: dict[str, Any]) -> None:
    number = from_notation({"float": vector["float"]})
    assert canonical(number).decode() == vector["canonical"]


@pytest.mark.parametrize("vector", load("json-documents.json", "accepted"))
def test_documents(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert data == vector["text"].encode()
    assert canonical(parse(data, max_bytes=LIMIT)).hex() == vector["canonical"]


@pytest.mark.parametrize("vector", load("json-documents.json", "refused"))
def test_documents_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        parse(bytes.fromhex(vector["hex"]), max_bytes=LIMIT)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    assert [error.path for error in caught.value.errors] == vector["paths"]


@pytest.mark.parametrize("vector", load("relative-paths.json", "accepted"))
def test_paths(vector: dict[str, Any]) -> None:
    assert check_relative_path(vector["path"]) == vector["path"]


@pytest.mark.parametrize("vector", load("relative-paths.json", "refused"))
def test_paths_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        check_relative_path(vector["path"])
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED


@pytest.mark.parametrize("vector", load("relative-paths.json", "sets"))
def test_sets_of_paths(vector: dict[str, Any]) -> None:
    package = Request([File(path) for path in vector["paths"]])
    expected = [f"/files/{index}/relative_path" for index in vector["refused"]]
    if not expected:
        check_package(package)
        return
    with pytest.raises(StoreError) as caught:
        check_package(package)
    assert sorted(error.path for error in caught.value.errors) == expected


@pytest.mark.parametrize("vector", load("packages.json", "accepted"))
def test_packages(vector: dict[str, Any]) -> None:
    package = package_of(vector["package"])
    data = encode_package(package)
    assert data.hex() == vector["cbor"]
    assert str(package_digest(data)) == vector["package_digest"]
    assert decode_package(data) == package
    manifest = to_oci_manifest(package, data)
    assert manifest.decode() == vector["oci_manifest"]
    assert str(Digest.of(manifest, Algorithm.SHA256)) == vector["oci_digest"]
    matches_oci_manifest(package, json.loads(manifest))


@pytest.mark.parametrize("vector", load("packages.json", "refused"))
def test_packages_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(StoreError) as caught:
        decode_package(bytes.fromhex(vector["cbor"]))
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    assert [error.path for error in caught.value.errors] == [vector["path"]]


class File:
    """A file as a request names it."""

    def __init__(self, relative_path: str) -> None:
        self.relative_path = relative_path
        self.media_type = "text/plain"


class Request:
    """A package as a request describes it, its files in the order given."""

    def __init__(self, files: list[File]) -> None:
        self.variant = None
        self.metadata: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        self.files = files


def package_of(document: dict[str, Any]) -> PackageManifest:
    subject = document["subject"]
    metadata = normalise(document["metadata"])
    assert isinstance(metadata, dict)
    return PackageManifest(
        variant=document["variant"],
        metadata=metadata,
        labels=document["labels"],
        files=tuple(
            PackageFile(
                file["relative_path"],
                file["size"],
                Digest.parse(file["blake3"]),
                Digest.parse(file["sha256"]),
                file["media_type"],
            )
            for file in document["files"]
        ),
        subject=subject
        and Descriptor(subject["media_type"], Digest.parse(subject["digest"]), subject["size"]),
    )
