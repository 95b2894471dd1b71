"""HTTP by hand on a socket, for what no client library does: to cut short, to send nonsense, not to read."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol


class Listener(Protocol):
    """What listens on a port of loopback: a server, or a proxy before some."""

    @property
    def port(self) -> int: ...


@dataclass(frozen=True)
class Answer:
    """A response, read whole."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextmanager
def connected(server: Listener, seconds: float = 20) -> Iterator[socket.socket]:
    """A connection; reads and writes that take longer than `seconds` raise TimeoutError."""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as line:
        yield line


def head(method: str, target: str, **headers: str) -> bytes:
    """The head of a request; `_` in names of headers stands for `-`."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def read(line: socket.socket, method: str = "GET") -> Answer:
    """One response. Raises TimeoutError, and http.client.HTTPException when none comes."""
    response = http.client.HTTPResponse(line, method=method)
    response.begin()
    body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def ask(server: Listener, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """A request as it should be, on a connection of its own."""
    with connected(server) as line:
        line.sendall(head(method, target, Content_Length=str(len(body)), **headers) + body)
        return read(line, method)


def cut(server: Listener, request: bytes) -> None:
    """Send these bytes of a request and hang up."""
    with connected(server) as line:
        line.sendall(request)


def hung_up(line: socket.socket, seconds: float) -> float:
    """Seconds until the server ends the connection; fails when it does not within `seconds`."""
    start = time.monotonic()
    line.settimeout(seconds)
    try:
        while line.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - start
