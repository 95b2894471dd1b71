"""Bytes on a socket, for requests that no HTTP client sends: cut short, malformed, awaiting a 100."""

import http.client
import select
import socket
import ssl
import time
import types
from typing import Self
from urllib.parse import urlsplit

import httpx

from .exchange import Exchange, Request
from .expect import MismatchError
from .wire import Wire


class RawConnection:
    """One connection to the registry. Time limits are in seconds."""

    def __init__(self, wire: Wire, limit: float = 30.0) -> None:
        address = urlsplit(wire.url)
        secure = address.scheme == "https"
        self._host = address.netloc
        self._headers = wire.headers
        plain = socket.create_connection(
            (address.hostname or "", address.port or (443 if secure else 80)), limit
        )
        self.socket: socket.socket = plain
        if secure:
            self.socket = ssl.create_default_context().wrap_socket(plain, server_hostname=address.hostname)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.socket.close()

    def begin(self, method: str, target: str, headers: dict[str, str]) -> Request:
        """Send the head of a request, its target exactly as given (a URL is cut to its path)."""
        if "://" in target:
            address = urlsplit(target)
            target = address.path + (f"?{address.query}" if address.query else "")
        lines = {"Host": self._host, "User-Agent": "oci-suite", **self._headers, **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.socket.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        return Request(method, target, httpx.Headers(headers), int(headers.get("Content-Length", 0)))

    def send_until_answered(self, body: bytes, piece: int = 64 * 1024) -> None:
        """Send a body, stopping when the registry answers or hangs up before its end."""
        for start in range(0, len(body), piece):
            if self.answering():
                return
            try:
                self.socket.sendall(body[start : start + piece])
            except OSError:
                return

    def answering(self, wait: float = 0.0) -> bool:
        """Whether something can be read."""
        return bool(select.select([self.socket], [], [], wait)[0])

    def answer(self, request: Request) -> Exchange:
        """The final response to the request, read whole; a lost connection is a MismatchError."""
        response = http.client.HTTPResponse(self.socket, method=request.method)
        try:
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise MismatchError(str(request), f"no response: {error!r}", "an HTTP response") from error
        answer = Exchange(request, response.status, httpx.Headers(response.getheaders()), body)
        if answer.status >= 500:
            raise MismatchError(str(request), str(answer), "no server error")
        return answer

    def cut(self) -> None:
        """Close at once, as a client that dies; then give the registry a moment to notice."""
        self.socket.close()
        time.sleep(0.1)
