"""Bringing the jars of Java programs into .tools, each folder beside a stamp that says what it is from."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from conformance.clients.golang import HERE, STAMPS
from conformance.clients.pins import MavenTool
from conformance.settings import TOOLS


class FetchError(Exception):
    """Maven said no; the message is its output."""


def why_not() -> str | None:
    """The reason why nothing can be brought or run here, or None."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not on PATH" if missing else None


def origin(tool: MavenTool) -> str:
    """What the jars are chosen by: the digest of the pom."""
    return f"{tool.source}@{hashlib.sha256(_pom(tool).read_bytes()).hexdigest()}"


def folder(tool: MavenTool) -> Path:
    """Where the jars are."""
    return TOOLS / tool.name


def is_here(tool: MavenTool) -> bool:
    """Whether .tools has the jars of just this origin, and there is a Java to run them."""
    stamp = STAMPS / tool.name
    fetched = folder(tool).is_dir() and stamp.exists() and stamp.read_text() == origin(tool)
    return fetched and shutil.which("java") is not None


def fetch(tool: MavenTool) -> None:
    """Bring the jars next to their place and move them there in one step. Raises FetchError."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS) as work:
        jars = Path(work) / "jars"
        done = subprocess.run(
            [
                *("mvn", "--batch-mode", "--quiet", f"--file={_pom(tool)}"),
                *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"),
            ],
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise FetchError(done.stdout.strip()[-2000:])
        (STAMPS / tool.name).unlink(missing_ok=True)
        shutil.rmtree(folder(tool), ignore_errors=True)
        jars.rename(folder(tool))
    (STAMPS / tool.name).write_text(origin(tool))


def _pom(tool: MavenTool) -> Path:
    return HERE / tool.source / "pom.xml"
