"""docker: what its command line does without an engine, manifest lists; skipped where it is not on PATH."""

from collections.abc import Callable

import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

Docker = Callable[..., Result]


@pytest.fixture
def manifest(shell: Shell) -> Docker:
    """`manifest("push", LIST)`"""
    program = need("docker")
    return lambda verb, *arguments: shell.run(program, "manifest", verb, *arguments)


def test_a_manifest_list(manifest: Docker, server: Server, remote: str, repository: str) -> None:
    pushed = [images.push(server, repository, tag, images.image(tag)) for tag in ("amd64", "arm64")]
    inspected = manifest("inspect", "--insecure", f"{remote}:amd64").json
    assert inspected["config"]["mediaType"] == images.CONFIG

    manifest("create", "--insecure", f"{remote}:list", *pushed)
    manifest("annotate", f"{remote}:list", pushed[1], "--arch", "arm64", "--variant", "v8")
    manifest("push", "--insecure", "--purge", f"{remote}:list")
    listed = manifest("inspect", "--insecure", f"{remote}:list").json["manifests"]
    assert {entry["digest"]: entry["platform"]["architecture"] for entry in listed} == {
        pushed[0].rpartition("@")[2]: "amd64",
        pushed[1].rpartition("@")[2]: "arm64",
    }
