"""cosign v3: signatures and attestations as bundles that refer to their subject, all offline."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
HTTP = "--allow-http-registry"


@dataclass(frozen=True)
class Cosign:
    """cosign with a key pair, a trusted root and a signing config that name no service."""

    program: Path
    shell: Shell

    def prepare(self) -> "Cosign":
        self("generate-key-pair")
        self("signing-config", "create", "--out", "signing.json")
        self("trusted-root", "create", "--out", "root.json")
        return self

    def __call__(self, *arguments: str) -> Result:
        return self.shell.run(self.program, *arguments)

    def make(self, verb: str, *arguments: str) -> None:
        offline = ("--signing-config", "signing.json", "--trusted-root", "root.json")
        self(verb, HTTP, "--yes", "--key", "cosign.key", *offline, *arguments)

    def check(self, verb: str, *arguments: str, key: str = "cosign.pub") -> tuple[str | Path, ...]:
        """The command that verifies, to be run or to be refused."""
        offline = ("--trusted-root", "root.json", "--insecure-ignore-tlog=true")
        return (self.program, verb, HTTP, "--key", key, *offline, *arguments)


@pytest.fixture
def cosign(shell: Shell) -> Cosign:
    """cosign, ready to sign."""
    return Cosign(need("cosign"), shell).prepare()


@pytest.fixture
def image(server: Server, repository: str) -> str:
    """An image, by digest."""
    return images.push(server, repository, "v1", images.image("to be signed"))


def test_a_signature_verifies_and_an_unsigned_image_does_not(
    cosign: Cosign, shell: Shell, server: Server, image: str, repository: str
) -> None:
    shell.refused("no signatures found", *cosign.check("verify", image))
    cosign.make("sign", image)
    shell.run(*cosign.check("verify", image))
    shell.run(*cosign.check("verify", f"{server.host}/{repository}:v1"))
    cosign.make("sign", image)
    shell.run(*cosign.check("verify", image))
    unsigned = images.push(server, repository, "v2", images.image("nobody signed this"))
    shell.refused("no signatures found", *cosign.check("verify", unsigned))


def test_another_key_does_not_verify(cosign: Cosign, shell: Shell, image: str) -> None:
    cosign.make("sign", image)
    cosign("generate-key-pair", "--output-key-prefix", "other")
    shell.refused("no matching", *cosign.check("verify", image, key="other.pub"))


def test_a_signature_moved_to_another_image_does_not_verify(
    cosign: Cosign, shell: Shell, server: Server, image: str, repository: str
) -> None:
    oras = need("oras-driver")
    cosign.make("sign", image)
    found = shell.run(oras, "discover", "--plain-http", image).json
    (bundle,) = (node for node in found["referrers"] if node["artifactType"] == BUNDLE)
    manifest = shell.run(oras, "manifest", "fetch", "--plain-http", bundle["reference"]).json
    other = images.image("not what was signed")
    victim = images.push(server, repository, "v2", other)
    manifest["subject"] = other.manifest.descriptor
    (shell.home / "moved.json").write_text(json.dumps(manifest))
    shell.run(oras, "manifest", "push", "--plain-http", f"{server.host}/{repository}:moved", "moved.json")
    (moved,) = shell.run(oras, "discover", "--plain-http", victim).json["referrers"]
    assert moved["artifactType"] == BUNDLE
    shell.refused("artifact digest does not match", *cosign.check("verify", victim))


def test_attestations(cosign: Cosign, shell: Shell, server: Server, image: str, repository: str) -> None:
    (shell.home / "predicate.json").write_text(json.dumps({"tests": "passed"}))
    shell.refused("no matching attestations", *cosign.check("verify-attestation", image))
    cosign.make("attest", "--type", "custom", "--predicate", "predicate.json", image)
    shell.run(*cosign.check("verify-attestation", "--type", "custom", image))
    shell.refused(
        "none of the attestations matched", *cosign.check("verify-attestation", "--type", "spdx", image)
    )
    other = images.push(server, repository, "v2", images.image("not attested"))
    shell.refused("no matching attestations", *cosign.check("verify-attestation", "--type", "custom", other))
