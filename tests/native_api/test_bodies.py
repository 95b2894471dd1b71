"""Request documents: what validates, what each fault is called, and what becomes of a document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api import bodies
from native_api.validate import check
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import JsonValue
from registry.contract.model import NewFile, NewPackage
from registry.contract.names import parse_repository

BLAKE3 = "blake3:" + "ab" * 32
SHA256 = "sha256:" + "cd" * 32


def faults(document: Any, shape: str = "NewPackage") -> dict[str, str]:
    with pytest.raises(StoreError) as caught:
        check(document, shape)
    assert caught.value.kind is ErrorKind.VALIDATION_FAILED
    return {error.path: error.message for error in caught.value.errors}


def test_a_package_becomes_the_contracts_value() -> None:
    document: JsonValue = {
        "variant": "guide-board.run.v1",
        "metadata": {"score": 0.5},
        "labels": {"team": "a"},
        "files": [
            {"relative_path": "a/ü.txt", "content_address": BLAKE3, "media_type": "text/plain"},
            {"relative_path": "b", "content_address": SHA256},
        ],
        "subject": SHA256,
    }
    assert bodies.package_or_promotion(document) == NewPackage(
        "guide-board.run.v1",
        {"score": 0.5},
        {"team": "a"},
        (
            NewFile("a/ü.txt", Digest.parse(BLAKE3), "text/plain"),
            NewFile("b", Digest.parse(SHA256), "application/octet-stream"),
        ),
        Digest.parse(SHA256),
    )


def test_null_is_the_same_as_absent_where_it_is_allowed() -> None:
    assert bodies.package_or_promotion({"files": [], "variant": None, "subject": None}) == NewPackage()


def test_a_body_with_from_is_a_promotion() -> None:
    promotion = bodies.package_or_promotion({"from": f"team/app@{SHA256}"})
    assert promotion == bodies.Promotion(parse_repository("team/app"), Digest.parse(SHA256))


@pytest.mark.parametrize("text", ["team/app:v1", "app@v1", f"App@{SHA256}", f"a@{SHA256}\n"])
def test_a_promotion_names_a_digest(text: str) -> None:
    with pytest.raises(StoreError) as caught:
        bodies.package_or_promotion({"from": text})
    assert [error.path for error in caught.value.errors] == ["/from"]


def test_a_promotion_has_nothing_else() -> None:
    assert "/files" in faults({"from": f"a@{SHA256}", "files": []}, "Promotion")


def test_every_fault_is_reported_with_its_pointer() -> None:
    found = faults(
        {
            "metadata": [],
            "labels": {"a": 1, "~/": None},
            "files": [
                {"relative_path": "a"},
                {"relative_path": 5, "content_address": "sha256:short", "size": 3},
                "x",
            ],
            "surplus": 1,
            "a/b": 2,
        }
    )
    assert set(found) == {
        "/metadata",
        "/labels/a",
        "/labels/~0~1",
        "/files/0/content_address",
        "/files/1/relative_path",
        "/files/1/content_address",
        "/files/1/size",
        "/files/2",
        "/surplus",
        "/a~1b",
    }
    assert found["/files/0/content_address"] == "is missing"
    assert "unknown member" in found["/surplus"]


def test_what_is_no_object_at_all_is_a_fault_of_the_whole() -> None:
    assert set(faults([])) == {""}
    assert set(faults(None, "NewUpload")) == {""}


def test_messages_stay_short_whatever_the_input() -> None:
    found = faults({"files": "x" * 100_000})
    assert len(found["/files"]) <= 200


def test_many_faults_are_cut_off_at_a_hundred() -> None:
    with pytest.raises(StoreError) as caught:
        check({"files": [0] * 500}, "NewPackage")
    assert len(caught.value.errors) == 100


@pytest.mark.parametrize(
    "path", ["/abs", "..", "../a", "a/../b", "a//b", "a/.", ".", "", "C:a", "a\\b", "a\0b", "a/", "x" * 1025]
)
def test_paths_that_lead_elsewhere_do_not_validate(path: str) -> None:
    document = {"files": [{"relative_path": path, "content_address": BLAKE3}]}
    assert set(faults(document)) == {"/files/0/relative_path"}


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", "..a/b..", ".hidden", "a b", "ü/漢字", "ab:c", "x" * 255]
)
def test_other_paths_do(path: str) -> None:
    check({"files": [{"relative_path": path, "content_address": BLAKE3}]}, "NewPackage")


def test_an_upload_takes_a_size_a_digest_and_a_repository() -> None:
    upload = bodies.new_upload({"size": 3, "digest": BLAKE3, "repository": "a/b"})
    assert (upload.size, upload.digest, upload.repository) == (3, Digest.parse(BLAKE3), "a/b")
    assert set(faults({"size": -1, "repository": "A"}, "NewUpload")) == {"/size", "/repository"}


def test_finalize_needs_no_files() -> None:
    assert bodies.finished_package({"labels": {"a": "b"}}) == NewPackage(labels={"a": "b"})
    assert set(faults({})) == {"/files"}


def test_validation_keeps_up_with_large_packages() -> None:
    files = [{"relative_path": f"dir/{n}", "content_address": BLAKE3} for n in range(5_000)]
    package = bodies.package_or_promotion(json.loads(json.dumps({"files": files})))
    assert isinstance(package, NewPackage)
    assert len(package.files) == 5_000
