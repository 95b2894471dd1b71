"""cosign v2: signatures and attestations under tags made of the subject's digest."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from conformance.clients import images
from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need
from conformance.server import Server

HTTP = "--allow-http-registry"


@dataclass(frozen=True)
class Cosign:
    """cosign v2 with a key pair and no transparency log."""

    program: Path
    shell: Shell

    def __call__(self, *arguments: str) -> Result:
        return self.shell.run(self.program, *arguments)

    def make(self, verb: str, *arguments: str) -> None:
        self(verb, HTTP, "--yes", "--key", "cosign.key", "--tlog-upload=false", *arguments)

    def check(self, verb: str, *arguments: str, key: str = "cosign.pub") -> tuple[str | Path, ...]:
        """The command that verifies, to be run or to be refused."""
        return (self.program, verb, HTTP, "--key", key, "--insecure-ignore-tlog=true", *arguments)


@pytest.fixture
def cosign(shell: Shell) -> Cosign:
    """cosign, ready to sign."""
    made = Cosign(need("cosign2"), shell)
    made("generate-key-pair")
    return made


@pytest.fixture
def image(server: Server, repository: str) -> str:
    """An image, by digest."""
    return images.push(server, repository, "v1", images.image("to be signed the old way"))


def tag_of(image: str, suffix: str) -> str:
    """The tag under which v2 keeps what belongs to the image."""
    return image.rpartition("@")[2].replace(":", "-") + suffix


def test_a_signature_verifies_and_an_unsigned_image_does_not(
    cosign: Cosign, shell: Shell, server: Server, image: str, repository: str
) -> None:
    shell.refused("no signatures found", *cosign.check("verify", image))
    cosign.make("sign", image)
    shell.run(*cosign.check("verify", image))
    tags = httpx.get(f"{server.url}/v2/{repository}/tags/list", trust_env=False).json()["tags"]
    assert tag_of(image, ".sig") in tags
    assert tag_of(image, ".sig") in cosign("triangulate", HTTP, image).out
    unsigned = images.push(server, repository, "v2", images.image("nobody signed this"))
    shell.refused("no signatures found", *cosign.check("verify", unsigned))


def test_a_second_signature_joins_the_first(cosign: Cosign, shell: Shell, image: str) -> None:
    cosign.make("sign", image)
    cosign("generate-key-pair", "--output-key-prefix", "second")
    shell.refused("no matching signatures", *cosign.check("verify", image, key="second.pub"))
    cosign("sign", HTTP, "--yes", "--key", "second.key", "--tlog-upload=false", image)
    shell.run(*cosign.check("verify", image))
    shell.run(*cosign.check("verify", image, key="second.pub"))


def test_a_signature_moved_to_another_image_does_not_verify(
    cosign: Cosign, shell: Shell, server: Server, image: str, repository: str
) -> None:
    cosign.make("sign", image)
    victim = images.push(server, repository, "v2", images.image("not what was signed"))
    remote = f"{server.host}/{repository}"
    moved = (f"{remote}:{tag_of(image, '.sig')}", f"{remote}:{tag_of(victim, '.sig')}")
    shell.run(need("crane"), "--insecure", "copy", *moved)
    shell.refused("invalid or missing digest in claim", *cosign.check("verify", victim))


def test_attestations(cosign: Cosign, shell: Shell, server: Server, image: str, repository: str) -> None:
    (shell.home / "predicate.json").write_text(json.dumps({"tests": "passed"}))
    cosign.make("attest", "--type", "custom", "--predicate", "predicate.json", image)
    shell.run(*cosign.check("verify-attestation", "--type", "custom", image))
    other = images.push(server, repository, "v2", images.image("not attested"))
    shell.refused("no matching attestations", *cosign.check("verify-attestation", "--type", "custom", other))
    tree = cosign("tree", HTTP, image).out
    assert tag_of(image, ".att") in tree
