"""The registry that is tried: one that runs already, or the product started for this run."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from conformance.settings import ROOT

START_LIMIT_S = 30.0
STOP_LIMIT_S = 30.0
LISTENING = re.compile(r"^listening on (http://\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """A registry that answers at `url`."""

    url: str
    log: Path | None = None
    """Its log, where we started it."""

    @property
    def host(self) -> str:
        """HOST:PORT, as references begin."""
        return urlsplit(self.url).netloc

    @property
    def is_ours(self) -> bool:
        """Whether this run started it, so that it is the product."""
        return self.log is not None

    def log_tail(self, lines: int = 40) -> str:
        """The end of its log."""
        if self.log is None:
            return "(not started by this run: see its own log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def program() -> Path:
    """The product's program: of the environment that runs this, or of the checkout's own.

    Raises RuntimeError where there is none.
    """
    path = f"{Path(sys.executable).parent}:{ROOT / '.venv' / 'bin'}"
    found = shutil.which("artifact-store", path=path)
    if found is None:
        raise RuntimeError("artifact-store is not installed: run `make setup`, or set ARTIFACT_STORE_URL")
    return Path(found)


@contextmanager
def started(artifact_store: Path, folder: Path, *arguments: str) -> Iterator[Server]:
    """The product on a free port with its data in `folder`; afterwards it must end cleanly on SIGTERM.

    `arguments` are more of `artifact-store serve`.
    """
    # Apart, since a line of one may otherwise land within a line of the other.
    said, log = folder / "server.out", folder / "server.log"
    data = str(folder / "data")
    command = [str(artifact_store), "serve", "--data", data, "--listen", "127.0.0.1:0", *arguments]
    with said.open("w") as out, log.open("w") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
    try:
        yield Server(_await_url(process, said, log), log)
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_LIMIT_S)
        assert status == 0, f"the server ended with {status} on SIGTERM:\n{log.read_text()[-4000:]}"
    finally:
        process.kill()
        process.wait()


def _await_url(process: subprocess.Popen[bytes], said: Path, log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if match := LISTENING.search(said.read_text(errors="replace")):
            return match.group(1)
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start (exit {process.poll()}):\n{log.read_text()[-4000:]}")
