"""oras-py: another implementation of the same client, in Python; it alone uploads blobs in chunks."""

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.clients import material


def test_a_hundred_files_come_back_byte_for_byte(
    oras_py: Any, remote: str, hundred_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = tmp_path / "titles.json"
    names = material.names(hundred_files)
    titles.write_text(json.dumps({name: {"org.opencontainers.image.title": name} for name in names}))
    monkeypatch.chdir(hundred_files)
    oras_py.push(target=f"{remote}:v1", files=names, annotation_file=str(titles))
    oras_py.pull(target=f"{remote}:v1", outdir=str(tmp_path / "out"))
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_big_file_comes_back_byte_for_byte(
    oras_py: Any, remote: str, big_file: Path, tmp_path: Path, chunked: bool
) -> None:
    arguments = {"files": [str(big_file)], "disable_path_validation": True, "do_chunked": chunked}
    oras_py.push(target=f"{remote}:big", **arguments)
    oras_py.pull(target=f"{remote}:big", outdir=str(tmp_path))
    assert material.sha256(tmp_path / big_file.name) == material.sha256(big_file)


def test_tags(oras_py: Any, remote: str, hundred_files: Path) -> None:
    for tag in ("v1", "v2"):
        oras_py.push(
            target=f"{remote}:{tag}",
            files=[str(hundred_files / "twin-a.txt")],
            disable_path_validation=True,
            manifest_annotations={"tag": tag},
        )
    assert oras_py.get_tags(remote) == ["v1", "v2"]
    oras_py.delete_tags(remote, "v1")
    assert oras_py.get_tags(remote) == ["v2"]
