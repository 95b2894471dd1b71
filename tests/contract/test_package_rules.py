"""What a package may say: paths stay in their folder on any system, and no bound can be passed by one."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.jsonvalue import JsonValue
from registry.contract.manifest import check_media_type
from registry.contract.package_rules import (
    MAX_LABEL_KEY_BYTES,
    MAX_LABEL_VALUE_BYTES,
    MAX_LABELS,
    check_package,
    check_relative_path,
    check_variant,
    path_fault,
)
from tests.contract.strategies import patient


@dataclass
class File:
    relative_path: str
    media_type: str = "text/plain"


@dataclass
class Request:
    """The body of a PUT as the rules see it."""

    variant: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)


def faults(request: Request) -> list[str]:
    """The paths of all errors, none when the request is acceptable."""
    try:
        check_package(request)
    except StoreError as error:
        assert error.kind is ErrorKind.VALIDATION_FAILED
        assert error.errors
        return [fault.path for fault in error.errors]
    return []


@patient
@given(st.text("ab./\\:\0\x7f\x85 é\ud800", max_size=12) | st.text(max_size=40))
@example("a/..")
@example("C:..")
@example("..\\a")
def test_an_accepted_path_stays_in_its_folder_everywhere(path: str) -> None:
    if path_fault(path) is not None:
        return
    assert posixpath.normpath(f"/root/{path}") == f"/root/{path}"
    assert PurePosixPath("/root", path).parts[:2] == ("/", "root")
    windows = PureWindowsPath("D:\\root", path)
    assert windows.parts[:2] == ("D:\\", "root")
    assert ".." not in windows.parts
    assert windows.parts[2:] == tuple(path.split("/"))
    assert os.fsencode(path)
    assert path.isprintable() or not any(ord(character) < 32 for character in path)


@patient
@given(st.lists(st.text("ab/-", min_size=1, max_size=5), max_size=6))
def test_a_set_of_paths_can_be_written_to_a_folder_or_is_refused(paths: list[str]) -> None:
    acceptable = not faults(Request(files=[File(path) for path in paths]))
    folders = {path[:at] for path in paths for at, character in enumerate(path) if character == "/"}
    expected = (
        all(path_fault(path) is None for path in paths)
        and len(set(paths)) == len(paths)
        and not folders & set(paths)
    )
    assert acceptable == expected


def test_files_are_named_by_their_place_in_the_request() -> None:
    request = Request(files=[File("z"), File("/a", "text"), File("z"), File("z/y"), File("b")])
    assert sorted(faults(request)) == [
        "/files/1/media_type",
        "/files/1/relative_path",
        "/files/2/relative_path",
        "/files/3/relative_path",
    ]


def test_the_list_of_faults_is_bounded() -> None:
    assert len(faults(Request(files=[File("..")] * 500))) == 100


def test_a_single_path_is_checked_alike() -> None:
    assert check_relative_path("a/b") == "a/b"
    with pytest.raises(StoreError) as caught:
        check_relative_path("a/../b")
    assert [fault.path for fault in caught.value.errors] == ["/relative_path"]


@patient
@given(st.text("aZ09.+-_;/ !#$&^*é", max_size=6) | st.text(max_size=5))
def test_an_accepted_variant_makes_a_media_type(variant: str) -> None:
    try:
        check_variant(variant)
    except StoreError as error:
        assert error.errors[0].path == "/variant"
    else:
        assert check_media_type(f"application/vnd.{variant}")


@pytest.mark.parametrize("variant", ["guide-board.run.v1", "a", "x" * 100, "sbom+json", "V1"])
def test_variants(variant: str) -> None:
    assert check_variant(variant) == variant
    assert faults(Request(variant=variant)) == []


@pytest.mark.parametrize(
    "variant",
    ["", "x" * 101, ".a", "-a", "a b", "a/b", "a;v=1", "é", "a\n", "artifact-store.x", "Artifact-Store.x"],
)
def test_variants_refused(variant: str) -> None:
    with pytest.raises(StoreError):
        check_variant(variant)
    assert faults(Request(variant=variant)) == ["/variant"]


@pytest.mark.parametrize(
    ("labels", "accepted"),
    [
        ({"team": "qa", "org.opencontainers.image.created": "2024-01-01T00:00:00Z"}, True),
        ({"é/~ x": "lines\nand\ttabs 😀", "empty": ""}, True),
        ({"k" * MAX_LABEL_KEY_BYTES: "v" * MAX_LABEL_VALUE_BYTES}, True),
        ({f"k{index}": "" for index in range(MAX_LABELS)}, True),
        ({f"k{index}": "" for index in range(MAX_LABELS + 1)}, False),
        ({"é" * (MAX_LABEL_KEY_BYTES // 2 + 1): ""}, False),
        ({"k": "é" * (MAX_LABEL_VALUE_BYTES // 2 + 1)}, False),
        ({"": "v"}, False),
        ({"k\n": "v"}, False),
        ({"k\0": "v"}, False),
        ({"k": "v\0"}, False),
        ({"k\ud800": "v"}, False),
        ({"k": "v\ud800"}, False),
        ({"dev.artifact-store.": "v"}, False),
        ({"dev.artifact-storey": "v"}, True),
    ],
)
def test_labels(labels: dict[str, str], accepted: bool) -> None:
    found = faults(Request(labels=labels))
    assert (not found) == accepted
    assert all(path.startswith("/labels") for path in found)


@pytest.mark.parametrize(
    ("media_type", "accepted"),
    [
        ("application/octet-stream", True),
        ("application/vnd.example.report.v1+json", True),
        (f"{'a' * 127}/{'b' * 127}", True),
        (f"{'a' * 128}/b", False),
        (f"a/{'b' * 128}", False),
        ("", False),
        ("text", False),
        ("text/", False),
        ("/plain", False),
        ("text/plain; charset=utf-8", False),
        ("text/plain ", False),
        ("text/*", False),
        ("a/b/c", False),
        ("text/pläin", False),
    ],
)
def test_media_types(media_type: str, accepted: bool) -> None:
    found = faults(Request(files=[File("a", media_type)]))
    assert found == ([] if accepted else ["/files/0/media_type"])
