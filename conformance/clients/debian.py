"""Installing clients from Debian's packages, where this machine has apt-get and we may use it."""

import os
import shutil
import subprocess
from functools import cache

from conformance.clients.pins import DebianTool


class InstallError(Exception):
    """`apt-get` said no; the message is its output."""


def is_installed(tool: DebianTool) -> bool:
    """Whether the client is on PATH."""
    return shutil.which(tool.name) is not None


def why_not() -> str | None:
    """The reason why nothing can be installed here, or None."""
    if shutil.which("apt-get") is None:
        return "no apt-get on this machine"
    if os.geteuid() != 0:
        return "apt-get needs root"
    return None


def install(tool: DebianTool) -> None:
    """Install the package. Raises InstallError."""
    _update()
    _apt_get("install", "-y", "--no-install-recommends", tool.name)


@cache
def _update() -> None:
    """Fetch the lists of packages, once a run."""
    _apt_get("update")


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-q", *arguments],
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise InstallError(done.stdout.strip()[-2000:])
