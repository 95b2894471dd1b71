"""One replica: `artifact-store serve` in a process of its own, on a port that it keeps over restarts."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.server.program import command, environment


class Replica:
    """A server told everything by `settings`, environment variables of the program; not running yet.

    `through` is put before its command line, such as `ip netns exec NAME`.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        settings: Mapping[str, str],
        through: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._through = tuple(through)
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = dict(settings)
        self.host = host
        self.port = port

    @property
    def name(self) -> str:
        """What the proxy calls it."""
        return self._folder.name

    @property
    def log_path(self) -> Path:
        return self._folder / "log"

    @property
    def url(self) -> str:
        """Its own address, past the proxy."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def paused(self) -> bool:
        """Whether it stands still where it is."""
        return ") T " in Path(f"/proc/{self.pid}/stat").read_text()

    @property
    def memory(self) -> int:
        """Bytes it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1]) * 1024

    def client(self, **more: float) -> httpx.Client:
        """A client of this replica alone."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=more.get("timeout", 30))

    def spawn(self) -> None:
        """Start the process, and do not wait for it."""
        words = command("serve", "--data", str(self._folder / "data"), "--listen", f"{self.host}:{self.port}")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._through, *words],
                env=environment(**self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_ready(self, seconds: float = 150) -> None:
        """Wait until it can serve. Raises RuntimeError when it ends instead, or takes longer."""
        assert self._process is not None
        until = time.monotonic() + seconds
        while True:
            try:
                if httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} does not become ready: {self.log()[-3000:]}")
            time.sleep(0.05)

    def start(self) -> None:
        """Start it, and wait until it can serve."""
        self.spawn()
        self.await_ready()

    def stop(self, seconds: float = 40) -> int:
        """SIGTERM, which drains it; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It stops where it is, with everything it holds, and its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        while not self.paused:
            time.sleep(0.005)

    def resume(self) -> None:
        """Go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Drain and end it if it runs, and start it anew."""
        if self.running:
            self.stop()
        self.start()

    def log(self) -> str:
        """What it has written over all its lives."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def close(self) -> None:
        """End it at once, paused or not."""
        if self.running:
            self.kill()
