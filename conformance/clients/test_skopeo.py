"""skopeo: images copied between registry, folder and layout, inspected, listed and deleted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need

Skopeo = Callable[..., Result]

SOURCE = ("--src-tls-verify=false",)
TARGET = ("--dest-tls-verify=false",)
DIGEST = ("--format", "{{.Digest}}", "--tls-verify=false")


@pytest.fixture
def skopeo(shell: Shell) -> Skopeo:
    """skopeo, which asks for a policy on signatures: none."""
    program = need("skopeo")
    policy = shell.home / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    return lambda *arguments: shell.run(program, "--policy", policy, "--tmpdir", shell.home, *arguments)


@pytest.fixture
def layout(shell: Shell) -> str:
    """An image on disk."""
    folder: Path = images.write_layout(images.image("for skopeo"), shell.home / "layout", "v1")
    return f"oci:{folder}:v1"


def test_copies_both_ways(skopeo: Skopeo, shell: Shell, remote: str, layout: str) -> None:
    digest = images.image("for skopeo").manifest.digest
    reference = f"docker://{remote}:v1"
    skopeo("copy", *TARGET, layout, reference)
    assert skopeo("inspect", *DIGEST, reference).out.strip() == digest

    skopeo("copy", *SOURCE, reference, "dir:folder")
    skopeo("copy", *TARGET, "dir:folder", f"docker://{remote}:from-dir")
    skopeo("copy", *SOURCE, reference, "oci:other:v1")
    skopeo("copy", *TARGET, "oci:other:v1", f"docker://{remote}:from-oci")
    skopeo("copy", *SOURCE, *TARGET, reference, f"docker://{remote}/mirror:v1")
    for copy in (f"{remote}:from-dir", f"{remote}:from-oci", f"{remote}/mirror:v1"):
        assert skopeo("inspect", *DIGEST, f"docker://{copy}").out.strip() == digest

    skopeo("copy", *SOURCE, *TARGET, "--format", "v2s2", reference, f"docker://{remote}:schema2")
    converted = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{remote}:schema2").json
    assert converted["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_inspection_and_tags(skopeo: Skopeo, remote: str, layout: str) -> None:
    for tag in ("v1", "v2"):
        skopeo("copy", *TARGET, layout, f"docker://{remote}:{tag}")
    seen = skopeo("inspect", "--tls-verify=false", f"docker://{remote}:v1").json
    assert (seen["RepoTags"], seen["Labels"]) == (["v1", "v2"], {"text": "for skopeo"})
    assert skopeo("list-tags", "--tls-verify=false", f"docker://{remote}").json["Tags"] == ["v1", "v2"]


def test_deletion(skopeo: Skopeo, shell: Shell, remote: str, layout: str) -> None:
    skopeo("copy", *TARGET, layout, f"docker://{remote}:v1")
    skopeo("delete", "--tls-verify=false", f"docker://{remote}:v1")
    inspect = ("inspect", "--tls-verify=false", f"docker://{remote}:v1")
    shell.refused("manifest unknown", need("skopeo"), *inspect)
