"""The real program in a process of its own: started, asked, stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
_LISTENING = re.compile(r"listening on (https?://\S+:\d+)\n")


@dataclass
class Running:
    """A server that has said where it listens."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample of `/metrics`, by name and sorted labels."""
        with self.client() as client:
            text = client.get("/metrics").text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """The sum of one sample over all it is labelled with besides `labels`."""
        wanted = set(labels.items())
        return sum(
            value
            for (found, with_labels), value in self.metrics().items()
            if found == f"artifact_store_{name}" and wanted <= set(with_labels)
        )

    def children(self) -> set[int]:
        """Process ids of the workers."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(word) for word in path.read_text().split()}

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "registry.server", *arguments]


def environment(**extra: str) -> dict[str, str]:
    """Ours without settings, so that a developer's shell does not change a test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARTIFACT_STORE_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{kept.get('PYTHONPATH', '')}", **extra}


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command(*arguments),
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def serving(folder: Path, *arguments: str, **extra: str) -> Iterator[Running]:
    """A server on a free port with its data in `folder`/data; killed at the end if it still runs."""
    log = folder / "server.log"
    with log.open("w") as sink:
        process = subprocess.Popen(
            command("serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", *arguments),
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = _LISTENING.fullmatch(line)
        assert match, f"it said {line!r}\n{log.read_text()}"
        yield Running(match[1], process, log)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(condition: object, seconds: float = 15) -> None:
    """Wait for `condition()` to be true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
