"""regctl: images copied with what refers to them, artifacts, tags, indexes, layouts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.clients import images, material
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

TYPE = "application/vnd.example.report"

Regctl = Callable[..., Result]


@pytest.fixture
def regctl(shell: Shell) -> Regctl:
    """`regctl("tag ls", REPOSITORY)`"""
    program = need("regctl")
    return lambda verb, *arguments: shell.run(program, *verb.split(), *arguments)


@pytest.fixture
def image(server: Server, repository: str) -> str:
    """An image at HOST/REPOSITORY:v1."""
    images.push(server, repository, "v1", images.image("for regctl"))
    return f"{server.host}/{repository}:v1"


def test_artifacts_on_an_image(regctl: Regctl, shell: Shell, image: str, hundred_files: Path) -> None:
    source = hundred_files / "one-mib.bin"
    put = ("artifact put", "--artifact-type", TYPE, "--subject", image, "--file-title")
    regctl(*put, "--annotation", "by=walk", "--file", source)
    (report,) = regctl("artifact list", "--format", "{{json .Descriptors}}", image).json
    assert (report["artifactType"], report["annotations"]["by"]) == (TYPE, "walk")
    filtered = ("artifact list", "--format", "{{len .Descriptors}}", "--filter-artifact-type")
    assert regctl(*filtered, TYPE, image).out.strip() == "1"
    assert regctl(*filtered, "application/vnd.example.none", image).out.strip() == "0"
    assert report["digest"] in regctl("artifact tree", image).out
    (shell.home / "out").mkdir()
    regctl("artifact get", "--subject", image, "--filter-artifact-type", TYPE, "--strip-dirs", "-o", "out")
    assert material.sha256(shell.home / "out" / "one-mib.bin") == material.sha256(source)


def test_copies_take_referrers_along(regctl: Regctl, image: str, remote: str, hundred_files: Path) -> None:
    attached = hundred_files / "twin-a.txt"
    regctl("artifact put", "--artifact-type", TYPE, "--subject", image, "--file", attached)
    count = ("artifact list", "--format", "{{len .Descriptors}}")
    for target in (f"{remote}/mirror:v1", "ocidir://layout:v1", f"{remote}/back:v1"):
        source = "ocidir://layout:v1" if "/back" in target else image
        regctl("image copy", "--referrers", source, target)
        assert regctl("image digest", target).out == regctl("image digest", image).out
        assert regctl(*count, target).out.strip() == "1"


def test_tags(regctl: Regctl, shell: Shell, server: Server, image: str, remote: str, repository: str) -> None:
    regctl("image copy", image, f"{remote}:v2")
    assert regctl("tag ls", remote).lines == ["v1", "v2"]
    regctl("tag rm", f"{remote}:v1")
    assert regctl("tag ls", remote).lines == ["v2"]
    shell.refused("not found", need("regctl"), "manifest", "head", image)
    assert repository in regctl("repo ls", "--last", repository[:-1], server.host).lines


def test_indexes_archives_and_blobs(regctl: Regctl, shell: Shell, image: str, remote: str) -> None:
    regctl("index create", f"{remote}:index", "--ref", image, "--annotation", "by=walk")
    index = regctl("manifest get", "--format", "raw-body", f"{remote}:index").json
    digest = regctl("image digest", image).out.strip()
    assert [entry["digest"] for entry in index["manifests"]] == [digest]

    regctl("image export", image, "image.tar")
    regctl("image import", f"{remote}/imported:v1", "image.tar")
    assert regctl("image digest", f"{remote}/imported:v1").out.strip() == digest

    layer = regctl("manifest get", "--format", "raw-body", image).json["layers"][0]
    assert f"Content-Length: {layer['size']}" in regctl("blob head", remote, layer["digest"]).out
    regctl("manifest delete", f"{remote}:index", "--force-tag-dereference")
    shell.refused("not found", need("regctl"), "manifest", "head", f"{remote}:index")
