"""Installing clients from Debian's packages, where this machine has apt-get and we may use it."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from conformance.clients.pins import DebianTool


class InstallError(Exception):
    """`apt-get` said no; the message is its output."""


def find(name: str) -> Path | None:
    """The program on PATH, or in the sbin beside a bin of it, where Debian has what serves."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    beside = [str(folder.with_name("sbin")) for folder in folders if folder.name == "bin"]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(beside))
    return Path(found) if found else None


def is_installed(tool: DebianTool) -> bool:
    """Whether the program is here."""
    return find(tool.name) is not None


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
