"""notation: the walk with our driver on notation-go, and with the notation CLI where that is on PATH."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

NAME = "walk.example"
POLICY = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "walk",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": [f"ca:{NAME}"],
            "trustedIdentities": ["*"],
        }
    ],
}

Notation = Callable[..., Result]


@pytest.fixture(params=["notation-driver", "notation"])
def program(request: pytest.FixtureRequest, shell: Shell) -> Path:
    """The driver, then the CLI; each with a test certificate and a policy that trusts it."""
    found = need(request.param)
    shell.run(found, "cert", "generate-test", "--default", NAME)
    policy = Path(shell.environment["XDG_CONFIG_HOME"]) / "notation" / "trustpolicy.json"
    policy.write_text(json.dumps(POLICY))
    policy.chmod(0o600)
    return found


@pytest.fixture
def notation(program: Path, shell: Shell) -> Notation:
    """`notation("sign", REFERENCE)`"""
    return lambda verb, *arguments: shell.run(program, verb, "--insecure-registry", *arguments)


@pytest.fixture
def image(server: Server, repository: str) -> str:
    """An image, by digest."""
    return images.push(server, repository, "v1", images.image("to be signed by notation"))


@pytest.mark.parametrize("envelope", ["jws", "cose"])
def test_a_signature_verifies_and_an_unsigned_image_does_not(
    notation: Notation,
    program: Path,
    shell: Shell,
    server: Server,
    image: str,
    repository: str,
    envelope: str,
) -> None:
    verify = (program, "verify", "--insecure-registry")
    shell.refused("no signature is associated", *verify, image)
    notation("sign", "--signature-format", envelope, image)
    notation("verify", image)
    assert notation("ls", image).out.count("sha256:") == 2
    unsigned = images.push(server, repository, "v2", images.image("nobody signed this"))
    shell.refused("no signature is associated", *verify, unsigned)


def test_an_untrusted_certificate_does_not_verify(
    notation: Notation, program: Path, shell: Shell, image: str
) -> None:
    shell.run(program, "cert", "generate-test", "--default", "stranger.example")
    notation("sign", image)
    shell.refused("signature verification failed", program, "verify", "--insecure-registry", image)


def test_a_signature_moved_to_another_image_does_not_verify(
    notation: Notation, program: Path, shell: Shell, server: Server, image: str, repository: str
) -> None:
    oras = need("oras-driver")
    notation("sign", image)
    (signature,) = shell.run(oras, "discover", "--plain-http", image).json["referrers"]
    assert signature["artifactType"] == "application/vnd.cncf.notary.signature"
    manifest = shell.run(oras, "manifest", "fetch", "--plain-http", signature["reference"]).json
    other = images.image("not what was signed")
    victim = images.push(server, repository, "v2", other)
    manifest["subject"] = other.manifest.descriptor
    (shell.home / "moved.json").write_text(json.dumps(manifest))
    shell.run(oras, "manifest", "push", "--plain-http", f"{server.host}/{repository}:moved", "moved.json")
    assert notation("ls", victim).out.count("sha256:") == 2
    shell.refused("signature verification failed", program, "verify", "--insecure-registry", victim)
