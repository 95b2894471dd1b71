"""Building Go clients into .tools/bin, each beside a stamp that says what it was built from."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from conformance.clients.pins import GoDriver, GoTool
from conformance.settings import TOOLS

BIN = TOOLS / "bin"
STAMPS = TOOLS / "stamps"
HERE = Path(__file__).resolve().parent
FLAGS = ("-trimpath", "-ldflags=-s -w")


class BuildError(Exception):
    """`go` said no; the message is its output."""


def have_go() -> bool:
    """Whether Go is here."""
    return shutil.which("go") is not None


def origin(tool: GoTool | GoDriver) -> str:
    """What the tool is built from: module and version, or the digest of a driver's sources."""
    if isinstance(tool, GoTool):
        return f"{tool.package}@{tool.version}"
    digest = hashlib.sha256()
    for path in sorted((HERE / tool.source).iterdir()):
        if path.suffix in {".go", ".mod", ".sum"}:
            digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return f"{tool.source}@{digest.hexdigest()}"


def is_built(tool: GoTool | GoDriver) -> bool:
    """Whether .tools/bin has the tool from just this origin."""
    stamp = STAMPS / tool.name
    return (BIN / tool.name).exists() and stamp.exists() and stamp.read_text() == origin(tool)


def build(tool: GoTool | GoDriver) -> None:
    """Build the tool next to its place and move it there in one step. Raises BuildError."""
    BIN.mkdir(parents=True, exist_ok=True)
    STAMPS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        if isinstance(tool, GoTool):
            _go("install", *FLAGS, origin(tool), gobin=folder)
        else:
            _go("build", *FLAGS, "-o", f"{folder}/", ".", gobin=folder, cwd=HERE / tool.source)
        (built,) = Path(folder).iterdir()
        (STAMPS / tool.name).unlink(missing_ok=True)
        built.replace(BIN / tool.name)
    (STAMPS / tool.name).write_text(origin(tool))


def _go(*arguments: str, gobin: str, cwd: Path | None = None) -> None:
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": gobin}
    done = subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        raise BuildError(done.stdout.strip())
