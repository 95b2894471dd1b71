"""crane: images appended, pushed, copied, listed, indexed, validated, pulled and deleted."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

Crane = Callable[..., Result]


@pytest.fixture
def crane(shell: Shell) -> Crane:
    """`crane("digest", REFERENCE)`"""
    program = need("crane")
    return lambda *arguments: shell.run(program, "--insecure", *arguments)


@pytest.fixture
def layer(shell: Shell) -> Path:
    """A tarball to append."""
    path = shell.home / "layer.tar"
    path.write_bytes(images.tar({"etc/greeting": b"hello\n"}))
    return path


@pytest.mark.parametrize("kind", [(), ("--oci-empty-base",)], ids=["docker-schema-2", "oci"])
def test_an_appended_image_is_valid_and_comes_back(
    crane: Crane, shell: Shell, remote: str, layer: Path, kind: tuple[str, ...]
) -> None:
    reference = f"{remote}:v1"
    crane("append", *kind, "-f", layer, "-t", reference)
    crane("validate", "--remote", reference)
    digest = crane("digest", reference).out.strip()
    manifest = crane("manifest", reference).out
    assert digest == f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    assert '"diff_ids"' in crane("config", reference).out
    crane("export", reference, "files.tar")
    assert b"etc/greeting" in (shell.home / "files.tar").read_bytes()

    crane("pull", "--format", "oci", reference, "layout")
    crane("push", "layout", f"{remote}:again")
    assert crane("digest", f"{remote}:again").out.strip() == digest
    crane("pull", reference, "image.tar")
    crane("push", "image.tar", f"{remote}:tarball")
    crane("validate", "--remote", f"{remote}:tarball")


def test_copies_tags_and_the_catalog(
    crane: Crane, server: Server, remote: str, repository: str, layer: Path
) -> None:
    crane("append", "--oci-empty-base", "-f", layer, "-t", f"{remote}:v1")
    crane("tag", f"{remote}:v1", "stable")
    assert crane("ls", remote).lines == ["stable", "v1"]
    crane("copy", f"{remote}:v1", f"{remote}/mirror:v1")
    crane("copy", "--all-tags", remote, f"{remote}/all")
    assert crane("ls", f"{remote}/all").lines == ["stable", "v1"]
    digest = crane("digest", f"{remote}:v1").out
    assert crane("digest", f"{remote}/mirror:v1").out == crane("digest", f"{remote}/all:stable").out == digest
    names = {repository, f"{repository}/mirror", f"{repository}/all"}
    assert names <= set(crane("catalog", server.host).lines)


def test_an_index_over_images(crane: Crane, remote: str, layer: Path, shell: Shell) -> None:
    other = shell.home / "other.tar"
    other.write_bytes(images.tar({"etc/other": b"other\n"}))
    crane("append", "--oci-empty-base", "-f", layer, "-t", f"{remote}:one")
    crane("append", "--oci-empty-base", "-f", other, "-t", f"{remote}:two")
    crane("index", "append", "-m", f"{remote}:one", "-m", f"{remote}:two", "-t", f"{remote}:both")
    listed = [entry["digest"] for entry in crane("manifest", f"{remote}:both").json["manifests"]]
    assert listed == [crane("digest", f"{remote}:{tag}").out.strip() for tag in ("one", "two")]
    crane("validate", "--remote", f"{remote}:both")
    crane("copy", f"{remote}:both", f"{remote}/mirror:both")
    crane("validate", "--remote", f"{remote}/mirror:both")


def test_deletion(crane: Crane, shell: Shell, remote: str, layer: Path) -> None:
    crane("append", "--oci-empty-base", "-f", layer, "-t", f"{remote}:v1")
    digest = crane("digest", f"{remote}:v1").out.strip()
    crane("delete", f"{remote}@{digest}")
    for gone in (f"{remote}:v1", f"{remote}@{digest}"):
        shell.refused("MANIFEST_UNKNOWN", need("crane"), "--insecure", "manifest", gone)
