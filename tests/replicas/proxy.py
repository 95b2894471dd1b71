"""HAProxy before the replicas: each request goes to the next one, whoever sent it and on which connection.

Chosen before nginx, whose free edition has no health checks, which answers `Expect: 100-continue` itself, and
which once installed would serve port 80 of the developer's machine. HAProxy passes bodies on as they come.
A request that no replica has seen is tried at another one, and so are GET and HEAD when no answer came.
What a replica has under way stays with it when it is no longer ready: it drains, or says what is wrong.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from conformance.clients.tools import need
from tests.ports import await_listener, free_ports
from tests.replicas.replica import Replica

#: Which replica answered, in every response that has passed the proxy.
SERVED_BY = "X-Served-By"

_CONFIGURATION = """
global
    maxconn 4000
    tune.bufsize 65536
    hard-stop-after 2s
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 120s
    timeout server 120s
    timeout http-keep-alive 60s
    timeout check 2s
frontend clients
    bind 127.0.0.1:{port}
    http-response set-header {served_by} %s
    default_backend replicas
backend replicas
    balance roundrobin
    option forwardfor
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET or {{ method HEAD }}
    option httpchk GET /readyz
    default-server check inter 500ms fastinter 200ms fall 2 rise 1
{servers}
"""


class Proxy:
    """The proxy before `replicas`, running once this is made."""

    def __init__(self, folder: Path, replicas: Sequence[Replica]) -> None:
        (self.port,) = free_ports(1)
        self._socket = folder / "haproxy.sock"
        configuration = folder / "haproxy.cfg"
        configuration.write_text(
            _CONFIGURATION.format(
                socket=self._socket,
                port=self.port,
                served_by=SERVED_BY,
                servers="\n".join(f"    server {it.name} 127.0.0.1:{it.port}" for it in replicas),
            )
        )
        with (folder / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [need("haproxy"), "-db", "-f", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            await_listener(self.port)
        except TimeoutError:
            self.close()
            raise RuntimeError((folder / "haproxy.log").read_text()) from None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def host(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def command(self, line: str) -> str:
        """Tell the running proxy something, such as `set server replicas/r1 state maint`."""
        with self._connect() as asked:
            asked.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: asked.recv(65536), b"")).decode()

    def _connect(self) -> socket.socket:
        """A proxy that has just started listens here a moment later than it does to clients."""
        until = time.monotonic() + 5
        while True:
            asked = socket.socket(socket.AF_UNIX)
            try:
                asked.connect(str(self._socket))
                return asked
            except (FileNotFoundError, ConnectionRefusedError):
                asked.close()
                if self._process.poll() is not None or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def up(self) -> set[str]:
        """The names of the replicas that it sends requests to."""
        head, *lines = self.command("show stat").lstrip("# ").splitlines()
        names = head.split(",")
        found = [dict(zip(names, line.split(","), strict=False)) for line in lines if line]
        return {
            row["svname"]
            for row in found
            if row["pxname"] == "replicas" and row["svname"] != "BACKEND" and row["status"].startswith("UP")
        }

    def await_up(self, names: set[str], seconds: float = 20) -> None:
        """Wait until it sends requests to just those replicas. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while self.up() != names:
            if time.monotonic() > until:
                raise TimeoutError(f"the proxy sends requests to {self.up()}, not to {names}")
            time.sleep(0.05)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
