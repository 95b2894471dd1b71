"""Package and OCI manifest: one follows from the other, and a pushed pair that disagrees is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given

from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import canonical, parse
from registry.contract.manifest import OCI_EMPTY, OCI_MANIFEST, TITLE, Descriptor, parse_manifest
from registry.contract.package import PackageFile, PackageManifest, encode_package
from registry.contract.package_oci import (
    EMPTY_CONTENT,
    MAX_OCI_MANIFEST_BYTES,
    PACKAGE_CONFIG,
    artifact_type,
    matches_oci_manifest,
    to_oci_manifest,
)
from tests.contract.strategies import packages, patient


def file(path: str, content: bytes) -> PackageFile:
    return PackageFile(
        path, len(content), Digest.of(content, Algorithm.BLAKE3), Digest.of(content, Algorithm.SHA256)
    )


PACKAGE = PackageManifest(
    variant="test.v1",
    labels={"team": "qa"},
    files=(file("a", b"x"), file("b", b"x")),
    subject=Descriptor(OCI_MANIFEST, Digest.of(b"s", Algorithm.SHA256), 1),
)


def oci(package: PackageManifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(to_oci_manifest(package, encode_package(package)))
    return document


def difference(package: PackageManifest, document: Any) -> str:
    with pytest.raises(StoreError) as caught:
        matches_oci_manifest(package, document)
    assert caught.value.kind is ErrorKind.MANIFEST_INVALID
    return caught.value.message


@patient
@given(packages())
def test_the_manifest_carries_the_whole_package(package: PackageManifest) -> None:
    config = encode_package(package)
    data = to_oci_manifest(package, config)
    manifest = parse_manifest(data, OCI_MANIFEST)
    assert manifest.config == Descriptor(PACKAGE_CONFIG, Digest.of(config, Algorithm.SHA256), len(config))
    assert manifest.artifact_type == artifact_type(package.variant)
    assert manifest.annotations == package.labels
    assert manifest.subject == package.subject
    titles: list[str | None] = [file.relative_path for file in package.files]
    assert [layer.annotations.get(TITLE) for layer in manifest.layers] == (titles or [None])
    assert [(layer.digest, layer.size, layer.media_type) for layer in manifest.layers] == (
        [(file.sha256, file.size, file.media_type) for file in package.files]
        or [(Digest.of(EMPTY_CONTENT, Algorithm.SHA256), len(EMPTY_CONTENT), OCI_EMPTY)]
    )


@patient
@given(packages())
def test_a_package_matches_its_own_manifest_however_it_is_formatted(package: PackageManifest) -> None:
    data = to_oci_manifest(package, encode_package(package))
    document = parse(data, max_bytes=MAX_OCI_MANIFEST_BYTES)
    assert canonical(document) == data
    matches_oci_manifest(package, document)
    matches_oci_manifest(package, json.loads(json.dumps(document, indent=2)))


@patient
@given(packages(), packages())
def test_a_package_matches_no_other_manifest(one: PackageManifest, other: PackageManifest) -> None:
    if encode_package(one) != encode_package(other):
        assert difference(one, oci(other))


def test_without_a_variant_the_artifact_type_is_that_of_the_config() -> None:
    assert oci(PackageManifest())["artifactType"] == PACKAGE_CONFIG
    assert (
        oci(PackageManifest(variant="guide-board.run.v1"))["artifactType"]
        == "application/vnd.guide-board.run.v1"
    )


def test_the_same_content_twice_is_two_layers() -> None:
    layers = oci(PACKAGE)["layers"]
    assert [layer["annotations"][TITLE] for layer in layers] == ["a", "b"]
    assert layers[0]["digest"] == layers[1]["digest"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(artifactType="application/vnd.other"), "artifactType is 'application/vnd.other'"),
        (lambda d: d.pop("artifactType"), "artifactType is nothing"),
        (lambda d: d.pop("annotations"), "annotations 'team' is nothing, not 'qa'"),
        (lambda d: d["annotations"].update(more="\n"), r"annotations 'more' is '\\n', not nothing"),
        (lambda d: d.update(annotations=["team"]), "annotations is list"),
        (lambda d: d["config"].update(size=1), r"config\.size is 1"),
        (lambda d: d["config"].update(mediaType="a/b"), r"config\.mediaType"),
        (lambda d: d["config"].update(annotations={"a": "b"}), r"config\.annotations 'a'"),
        (lambda d: d.pop("config"), "config is nothing"),
        (lambda d: d.pop("subject"), "subject is nothing"),
        (lambda d: d["subject"].update(size=2), r"subject\.size is 2, not 1"),
        (lambda d: d["layers"].pop(), "layers has 1 where the package has 2"),
        (lambda d: d.pop("layers"), "layers has nothing"),
        (lambda d: d["layers"].reverse(), r"layers\[0\]\.annotations"),
        (lambda d: d["layers"][1].update(digest=d["config"]["digest"]), r"layers\[1\]\.digest"),
        (lambda d: d["layers"][1].update(size=True), r"layers\[1\]\.size is True"),
        (lambda d: d["layers"][1]["annotations"].update({TITLE: "c"}), r"layers\[1\]\.annotations"),
        (lambda d: d["layers"].__setitem__(0, None), r"layers\[0\] is nothing"),
    ],
)
def test_what_differs_is_told(change: Callable[[dict[str, Any]], Any], told: str) -> None:
    document = oci(PACKAGE)
    change(document)
    with pytest.raises(StoreError, match=told) as caught:
        matches_oci_manifest(PACKAGE, document)
    assert caught.value.kind is ErrorKind.MANIFEST_INVALID
    assert len(caught.value.message) < 400


def test_a_subject_that_the_package_does_not_have_is_told() -> None:
    document = oci(PackageManifest()) | {"subject": oci(PACKAGE)["subject"]}
    assert "subject is dict, not nothing" in difference(PackageManifest(), document)


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"layers": {}}])
def test_what_is_no_manifest_does_not_match(document: Any) -> None:
    assert difference(PACKAGE, document)


def test_what_the_specification_allows_beside_is_free() -> None:
    document = oci(PACKAGE)
    document["unknown"] = 1
    document["layers"][0]["data"] = "eA=="
    document["config"]["annotations"] = {}
    matches_oci_manifest(PACKAGE, document)


def test_beyond_four_mebibytes_a_package_is_too_large() -> None:
    files = [file(f"{index:05}", b"") for index in range(30_000)]
    package = PackageManifest(files=tuple(files))
    with pytest.raises(StoreError) as caught:
        to_oci_manifest(package, encode_package(package))
    assert caught.value.kind is ErrorKind.PACKAGE_TOO_LARGE
    assert len(to_oci_manifest(PackageManifest(files=tuple(files[:20_000])), b"")) <= MAX_OCI_MANIFEST_BYTES
