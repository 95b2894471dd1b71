"""buildah and podman: an image built from nothing, pushed and pulled, without a daemon."""

import json
import tempfile
from collections.abc import Callable, Iterator

import pytest

from conformance.clients.shell import Result, Shell
from conformance.clients.tools import need

Builder = Callable[..., Result]

CONTAINERFILE = """\
FROM scratch
COPY greeting.txt /greeting.txt
LABEL by=walk
CMD ["/greeting.txt"]
"""
TLS = "--tls-verify=false"


@pytest.fixture(params=["buildah", "podman"])
def builder(request: pytest.FixtureRequest, shell: Shell) -> Iterator[Builder]:
    """`builder("push", …)` with a storage and a signature policy of its own."""
    program = need(request.param)
    policy = shell.home / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    (shell.home / "Containerfile").write_text(CONTAINERFILE)
    (shell.home / "greeting.txt").write_text("hello\n")

    # Not in the home of the test: podman wants the path of its runroot to be of 50 characters at most.
    with tempfile.TemporaryDirectory() as runroot:
        storage = ("--storage-driver", "vfs", "--root", shell.home / "root", "--runroot", runroot)

        def run(verb: str, *arguments: str) -> Result:
            policed = ("--signature-policy", policy) if verb in {"build", "push", "pull"} else ()
            return shell.run(program, *storage, verb, *policed, *arguments)

        yield run


@pytest.mark.parametrize("kind", ["oci", "v2s2"])
def test_an_image_is_built_pushed_and_pulled(builder: Builder, shell: Shell, remote: str, kind: str) -> None:
    image_format = {"oci": "oci", "v2s2": "docker"}[kind]
    reference = f"{remote}:{kind}"
    builder("build", "--isolation", "chroot", "--format", image_format, "-t", reference, ".")
    builder("push", TLS, "--format", kind, "--digestfile", str(shell.home / "digest"), reference)
    builder("rmi", "--force", reference)
    digest = (shell.home / "digest").read_text().strip()
    builder("pull", TLS, f"{remote}@{digest}")
    assert digest in builder("images", "--digests").out
