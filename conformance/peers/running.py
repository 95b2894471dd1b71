"""A registry that runs for a measurement, in a folder of its own, with a meter on its processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from conformance.distribution import free_port
from conformance.peers.peers import Peer
from conformance.peers.processes import Cost, cost_of, stored_mib

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


@dataclass
class Running:
    """A registry at `host` (HOST:PORT); `start_seconds` from the command to the first answer."""

    peer: Peer
    host: str
    folder: Path
    process: subprocess.Popen[bytes]
    start_seconds: float

    def cost(self) -> Cost:
        return cost_of(self.process.pid)

    def stored_mib(self) -> float:
        return stored_mib(self.folder / "data")


@contextmanager
def running(peer: Peer, folder: Path) -> Iterator[Running]:
    """Start the peer with its data in `folder`, empty or from an earlier run; stop it afterwards."""
    program = peer.find()
    assert program is not None, f"{peer.name} is not here"
    folder.mkdir(exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    command = peer.command(program, folder, address)
    begun = time.monotonic()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=_environment(peer.environment), stdout=log, stderr=log)
    try:
        yield Running(peer, address, folder, process, _answers(process, address, begun, folder))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(more: Mapping[str, str]) -> Mapping[str, str]:
    return {**os.environ, **more}


def _answers(process: subprocess.Popen[bytes], address: str, begun: float, folder: Path) -> float:
    while time.monotonic() - begun < _START_SECONDS and process.poll() is None:
        try:
            if httpx.get(f"http://{address}/v2/", trust_env=False).status_code == 200:
                return time.monotonic() - begun
        except httpx.TransportError:
            time.sleep(0.01)
    raise RuntimeError(f"it does not answer:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
