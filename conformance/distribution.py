"""The registry `distribution`, a peer to compare with: started fresh, as its makers deliver it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from conformance.settings import TOOLS

PROGRAM = TOOLS / "bin" / "registry"

_CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "{address}", secret: one}}
"""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """Its URL, while it runs with its data in `folder`."""
    address = f"127.0.0.1:{free_port()}"
    settings = folder / "config.yml"
    settings.write_text(_CONFIGURATION.format(root=folder / "data", address=address))
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([PROGRAM, "serve", settings], env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_for(f"http://{address}/v2/", server)
            yield f"http://{address}"
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"distribution does not answer at {url}")
