"""A second S3 server, moto from its package: it knows storage classes and their restore, which others do not.

It keeps everything in memory, and answers one request after another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from registry.dataplane import S3Settings
from tests.ports import free_ports

BUCKET = "store"


class MotoServer:
    """The server. Raises FileNotFoundError without the package."""

    def __init__(self, folder: Path) -> None:
        program = Path(sys.executable).with_name("moto_server")
        if not program.exists():
            raise FileNotFoundError("no `moto_server`: the package moto is not installed")
        (port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{port}"
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log, cwd=folder
            )
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 150
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.close()
                    raise RuntimeError(f"moto does not start: {self._log.read_text()[-2000:]}") from None
                time.sleep(0.05)

    def restores_take(self, looks: int) -> None:
        """A restore is over when the object was looked at so often; 0: at once."""
        how: dict[str, Any] = (
            {"progression": "manual", "times": looks} if looks else {"progression": "immediate"}
        )
        self._tell("state-manager/set-transition", {"model_name": "s3::keyrestore", "transition": how})

    def _tell(self, path: str, document: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/{path}",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def settings(self, prefix: str, **others: object) -> S3Settings:
        """How to reach the bucket, below a prefix of the test's own."""
        found: dict[str, object] = {
            "bucket": BUCKET,
            "prefix": f"{prefix}/",
            "endpoint": self.endpoint,
            "access_key": "tester",
            "secret_key": "tester-secret",
            "stall": 2,
            **others,
        }
        return S3Settings(**found)  # type: ignore[arg-type]
