"""Another vendor's SDK with the import name `oci` is found, whichever way it records its files."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.server.ownership import explain, other_owners


def install(folder: Path, name: str, files: dict[str, str]) -> None:
    """A distribution as pip leaves it: its dist-info, with these files in it."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for file, text in files.items():
        (info / file).write_text(text)


TOP_LEVEL = {"top_level.txt": "oci\n", "RECORD": "oci/__init__.py,sha256=x,1\n"}
RECORD = {"RECORD": "other/a.py,,\noci/__init__.py,sha256=x,1\n"}


@pytest.mark.parametrize("files", [TOP_LEVEL, RECORD, {"RECORD": "oci.py,sha256=x,1\n"}])
def test_an_owner_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    install(tmp_path, "other-oci", files)
    assert other_owners([str(tmp_path)]) == ["other-oci"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("artifact-store", RECORD),
        ("Artifact_Store", RECORD),
        ("bystander", {"RECORD": "bystander/oci/__init__.py,,\nocitools/a.py,,\nx/oci.py,,\n"}),
        ("bystander", {"top_level.txt": "ocitools\n"}),
        ("bystander", {}),
    ],
)
def test_others_are_left_in_peace(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    install(tmp_path, name, files)
    assert other_owners([str(tmp_path), str(tmp_path / "absent")]) == []


def test_the_quick_look_agrees_with_importlib(tmp_path: Path) -> None:
    install(tmp_path, "first", TOP_LEVEL)
    install(tmp_path, "second", RECORD)
    install(tmp_path, "third", {"RECORD": "third/oci/a.py,,\n"})
    code = (
        "import json, importlib.metadata as m; print(json.dumps(m.packages_distributions().get('oci', [])))"
    )
    by_importlib = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    known = {"artifact-store"} & {entry.name for entry in importlib.metadata.distributions()}
    expected = sorted({"first", "second"} | known & set(json.loads(by_importlib.stdout)))
    assert sorted({*other_owners([str(tmp_path), *sys.path]), *known & set(expected)}) == expected


def test_this_environment_is_ours_alone() -> None:
    assert other_owners() == []


def test_the_explanation_says_what_to_do() -> None:
    assert "other-oci" in explain(["other-oci"])
    assert "venv" in explain(["other-oci"])
