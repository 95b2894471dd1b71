"""helm: a chart whose version has a `+`, with its provenance file, pushed, shown and pulled."""

from collections.abc import Callable

import httpx
import pytest

from conformance.clients import material
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

VERSION = "1.2.3+build.5"
ARCHIVE = f"walk-{VERSION}.tgz"

Helm = Callable[..., Result]


@pytest.fixture
def helm(shell: Shell) -> Helm:
    """helm, in a home with a packaged chart."""
    program = need("helm")
    shell.run(program, "create", "walk")
    shell.run(program, "package", "walk", "--version", VERSION)
    return lambda *arguments: shell.run(program, *arguments, "--plain-http")


def test_a_chart_comes_back_byte_for_byte(
    helm: Helm, shell: Shell, server: Server, remote: str, repository: str
) -> None:
    # What helm sends of a provenance file does not depend on what is in it; signing one takes a GnuPG home.
    (shell.home / f"{ARCHIVE}.prov").write_text("-----BEGIN PGP SIGNED MESSAGE-----\n")
    helm("push", ARCHIVE, f"oci://{remote}")
    tags = httpx.get(f"{server.url}/v2/{repository}/walk/tags/list", trust_env=False).json()["tags"]
    assert tags == [VERSION.replace("+", "_")]
    assert f"version: {VERSION}" in helm("show", "chart", f"oci://{remote}/walk", "--version", VERSION).out

    (shell.home / "out").mkdir()
    helm("pull", f"oci://{remote}/walk", "--version", VERSION, "--prov", "-d", "out")
    for name in (ARCHIVE, f"{ARCHIVE}.prov"):
        assert material.sha256(shell.home / "out" / name) == material.sha256(shell.home / name)


def test_the_newest_version_in_a_range_is_found(helm: Helm, shell: Shell, remote: str) -> None:
    for version in ("1.0.0", "1.9.0", "1.10.0", "2.0.0"):
        shell.run(need("helm"), "package", "walk", "--version", version)
        helm("push", f"walk-{version}.tgz", f"oci://{remote}")
    assert "version: 1.10.0" in helm("show", "chart", f"oci://{remote}/walk", "--version", "^1.0").out
    rendered = helm("template", "release", f"oci://{remote}/walk", "--version", "2.0.0").out
    assert "helm.sh/chart: walk-2.0.0" in rendered
