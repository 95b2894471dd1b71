"""Ports that nobody listens on, for programs that must be told one before they start."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """So many different ones, each held until all are chosen."""
    with ExitStack() as stack:
        found: list[int] = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            found.append(listener.getsockname()[1])
        return found


def await_listener(port: int, seconds: float = 30) -> None:
    """Wait until something takes connections on `port`. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing listens on port {port} after {seconds:g} seconds") from None
            time.sleep(0.02)
