"""Which files a push takes, and what each is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oci.client.errors import ContentError
from oci.client.files import collect


def _names(*paths: Path) -> list[str]:
    return [file.relative_path for file in collect(paths)]


def test_files_by_name_and_folders_by_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "b").touch()
    (tmp_path / "folder" / ".hidden").touch()
    (tmp_path / "a").touch()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "a")
    assert _names(tmp_path / "folder", tmp_path / "a") == [".hidden", "a", "below/b", "link"]
    assert _names(tmp_path / "a", tmp_path / "a") == ["a"]


@pytest.mark.parametrize(
    "kind", ["link to a folder", "link to nothing", "pipe", "name that is no UTF-8", "backslash"]
)
def test_what_an_artifact_cannot_hold_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "good").touch()
    if kind == "link to a folder":
        (folder / "bad").symlink_to(tmp_path)
    elif kind == "link to nothing":
        (folder / "bad").symlink_to(tmp_path / "absent")
    elif kind == "pipe":
        os.mkfifo(folder / "bad")
    elif kind == "backslash":
        (folder / "bad\\name").touch()
    else:
        Path(os.fsdecode(bytes(folder) + b"/bad\xff")).touch()
    with pytest.raises(ContentError, match="bad"):
        collect([folder])


def test_a_path_cannot_be_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x").touch()
    (tmp_path / "two" / "x").mkdir(parents=True)
    (tmp_path / "two" / "x" / "y").touch()
    with pytest.raises(ContentError, match="both a file and a folder"):
        collect([tmp_path / "one", tmp_path / "two"])
