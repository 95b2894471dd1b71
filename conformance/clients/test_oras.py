"""oras: the walk with our driver on oras-go, and with the oras CLI where that is on PATH."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.clients import material
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

TYPE = "application/vnd.example.evidence"
SBOM = "application/vnd.example.sbom"
REVIEW = "application/vnd.example.review"

Oras = Callable[..., Result]


@pytest.fixture(params=["oras-driver", "oras"])
def program(request: pytest.FixtureRequest) -> Path:
    """The driver, then the CLI."""
    return need(request.param)


@pytest.fixture
def oras(program: Path, shell: Shell) -> Oras:
    """`oras("repo tags", REFERENCE)` runs `oras repo tags --plain-http REFERENCE`."""

    def run(verb: str, *arguments: str | Path, cwd: Path | None = None) -> Result:
        return shell.run(program, *verb.split(), "--plain-http", *arguments, cwd=cwd)

    return run


def tree(node: dict[str, Any]) -> dict[str, Any]:
    """Digests of the referrers, as a tree."""
    return {child["digest"]: tree(child) for child in node.get("referrers") or []}


def test_a_hundred_files_come_back_byte_for_byte(
    oras: Oras, remote: str, hundred_files: Path, tmp_path: Path
) -> None:
    names = material.names(hundred_files)
    assert len(names) == 100
    oras("push", "--artifact-type", TYPE, f"{remote}:v1", *names, cwd=hundred_files)
    oras("pull", "--output", tmp_path / "out", f"{remote}:v1")
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)


def test_a_big_file_comes_back_byte_for_byte(oras: Oras, remote: str, big_file: Path, tmp_path: Path) -> None:
    oras("push", f"{remote}:big", f"{big_file.name}:application/octet-stream", cwd=big_file.parent)
    oras("pull", "--output", tmp_path / "out", f"{remote}:big")
    assert material.digests(tmp_path / "out") == material.digests(big_file.parent)


def test_a_push_goes_on_from_the_blobs_that_are_there(
    oras: Oras, remote: str, hundred_files: Path, tmp_path: Path
) -> None:
    oras("blob push", remote, hundred_files / "one-mib.bin")
    pushed = oras("push", f"{remote}:v1", "one-mib.bin", "twin-a.txt", cwd=hundred_files)
    assert "Exists" in pushed.out + pushed.err
    oras("pull", "--output", tmp_path / "out", f"{remote}:v1")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one-mib.bin", "twin-a.txt"]


def test_attached_artifacts_are_discovered_and_copied(
    oras: Oras, program: Path, shell: Shell, remote: str, hundred_files: Path, tmp_path: Path
) -> None:
    reference = f"{remote}:v1"
    oras("push", "--artifact-type", TYPE, reference, "twin-a.txt", cwd=hundred_files)
    attach = ("attach", "--format", "json", "--artifact-type")
    sbom = oras(*attach, SBOM, "--annotation", "by=walk", reference, "empty", cwd=hundred_files).json
    oras(*attach, REVIEW, f"{remote}@{sbom['digest']}", "plus+and=equals@at.txt", cwd=hundred_files)

    discover = ("discover", "--format", "json")
    found = oras(*discover, reference).json
    (seen,) = found["referrers"]
    assert (seen["artifactType"], seen["digest"]) == (SBOM, sbom["digest"])
    assert seen["annotations"]["by"] == "walk"
    assert [child["artifactType"] for child in seen["referrers"]] == [REVIEW]
    assert not oras(*discover, "--artifact-type", "application/vnd.example.none", reference).json["referrers"]
    filtered = oras(*discover, "--artifact-type", SBOM, reference).json["referrers"]
    assert [child["digest"] for child in filtered] == [sbom["digest"]]

    plain = ("--from-plain-http", "--to-plain-http")
    shell.run(program, "cp", "-r", *plain, reference, f"{remote}/copy:v1")
    assert tree(oras(*discover, f"{remote}/copy:v1").json) == tree(found)

    layout = f"{tmp_path / 'layout'}:v1"
    shell.run(program, "cp", "-r", "--from-plain-http", "--to-oci-layout", reference, layout)
    shell.run(program, "cp", "-r", "--from-oci-layout", "--to-plain-http", layout, f"{remote}/back:v1")
    assert tree(oras(*discover, f"{remote}/back:v1").json) == tree(found)


def test_tags_and_manifests(
    oras: Oras, program: Path, shell: Shell, server: Server, remote: str, repository: str, hundred_files: Path
) -> None:
    oras("push", f"{remote}:v1", "twin-a.txt", cwd=hundred_files)
    oras("tag", f"{remote}:v1", "v2", "latest")
    assert oras("repo tags", remote).lines == ["latest", "v1", "v2"]
    assert repository in oras("repo ls", server.host).lines

    digest = oras("resolve", f"{remote}:latest").out.strip()
    manifest = oras("manifest fetch", f"{remote}:v1").out
    assert f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}" == digest
    descriptor = oras("manifest fetch", "--descriptor", f"{remote}@{digest}").json
    assert (descriptor["digest"], descriptor["size"]) == (digest, len(manifest))

    (shell.home / "pretty.json").write_text(json.dumps(json.loads(manifest), indent=8))
    oras("manifest push", f"{remote}:pretty", "pretty.json")
    assert oras("manifest fetch", f"{remote}:pretty").out == (shell.home / "pretty.json").read_text()

    oras("manifest delete", "--force", f"{remote}@{digest}")
    shell.refused("not found", program, "resolve", "--plain-http", f"{remote}:v1")
    assert oras("repo tags", remote).lines == ["pretty"]


def test_single_blobs(oras: Oras, program: Path, shell: Shell, remote: str, hundred_files: Path) -> None:
    blob = hundred_files / "one-mib.bin"
    oras("blob push", remote, blob)
    reference = f"{remote}@{material.sha256(blob)}"
    oras("blob fetch", "--output", "fetched.bin", reference)
    assert material.sha256(shell.home / "fetched.bin") == material.sha256(blob)
    oras("blob delete", "--force", reference)
    shell.refused("not found", program, "blob", "fetch", "--plain-http", "--output", "gone.bin", reference)


def test_a_broken_download_is_resumed(shell: Shell, remote: str, big_file: Path) -> None:
    driver = need("oras-driver")
    shell.run(driver, "blob", "push", "--plain-http", remote, big_file)
    part = shell.home / "part.bin"
    with big_file.open("rb") as source:
        part.write_bytes(source.read(big_file.stat().st_size * 2 // 3))
    reference = f"{remote}@{material.sha256(big_file)}"
    shell.run(driver, "blob", "fetch", "--plain-http", "--resume", "--output", part, reference)
    assert material.sha256(part) == material.sha256(big_file)
