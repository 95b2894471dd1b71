"""A nats-server of our own: started on a free port, killed, started again on the same port and folder."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.aio.client import Client

from conformance.clients.tools import need


class NatsServer:
    """One server with JetStream in `folder`. `more` are lines of its configuration."""

    def __init__(self, folder: Path, more: str = "", scheme: str = "nats") -> None:
        self._program = need("nats-server")
        self._folder = folder
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.scheme = scheme
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it until it takes connections."""
        config = self._folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self._folder}/js" }}\n{self._more}\n'
        )
        log = (self._folder / "nats.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._program, "-c", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self._folder / "nats.log").read_text()
                assert time.monotonic() < until, "nats-server does not listen"
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, as power failures and the kernel do."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self._process.pid}/task")
        while any(") T " not in (task / "stat").read_text() for task in tasks.iterdir()):
            time.sleep(0.01)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def connected(url: str | list[str], **more: object) -> AsyncIterator[Client]:
    """A client of the tests' own."""
    client = await nats.connect(url, **more)
    try:
        yield client
    finally:
        await client.close()


async def stored(url: str, stream: str, **more: object) -> list[tuple[str, dict[str, str], bytes]]:
    """Every message of a stream in its order: subject, headers, body."""
    async with connected(url, **more) as client:
        context = client.jetstream()
        state = (await context.stream_info(stream)).state
        found = []
        for seq in range(state.first_seq, state.last_seq + 1):
            message = await context.get_msg(stream, seq)
            found.append((message.subject or "", dict(message.headers or {}), message.data or b""))
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
