"""An upload session, followed as a client does: each request goes to the latest Location."""

from collections.abc import Iterator
from urllib.parse import urljoin

from .exchange import Exchange
from .expect import present, status
from .wire import Wire, with_query

OCTETS = {"Content-Type": "application/octet-stream"}


class Session:
    """An upload begun by a POST that was answered 202."""

    def __init__(self, wire: Wire, begun: Exchange) -> None:
        self._wire = wire
        status(begun, 202, why="an upload session begins")
        self.location = ""
        self._follow(begun)
        self.minimum = int(begun.header("OCI-Chunk-Min-Length") or 0)

    def chunks(self, data: bytes, count: int) -> list[bytes]:
        """The bytes in about `count` pieces, none but the last below the registry's minimum."""
        size = max(self.minimum, -(-len(data) // count), 1)
        return [data[start : start + size] for start in range(0, len(data), size)]

    def patch(self, data: bytes, first: int) -> Exchange:
        """One chunk with its range."""
        span = {"Content-Range": f"{first}-{first + len(data) - 1}"}
        return self.send_patch(data, span)

    def send_patch(self, data: bytes, headers: dict[str, str]) -> Exchange:
        """A PATCH with any headers; the Location is followed if it was accepted."""
        answer = self._wire.send("PATCH", self.location, headers=OCTETS | headers, body=data)
        if answer.status == 202:
            self._follow(answer)
        return answer

    def stream(self, data: bytes) -> Exchange:
        """A PATCH with neither Content-Range nor Content-Length: the body comes in pieces as it is made."""
        answer = self._wire.send("PATCH", self.location, headers=OCTETS, body=pieces(data))
        if answer.status == 202:
            self._follow(answer)
        return answer

    def close(self, digest: str, data: bytes | None = None, first: int | None = None) -> Exchange:
        """The closing PUT, with the last chunk (from offset `first`) or the whole blob if `data` is given."""
        headers = {} if data is None else dict(OCTETS)
        if data and first is not None:
            headers["Content-Range"] = f"{first}-{first + len(data) - 1}"
        return self._wire.send(
            "PUT", with_query(self.location, "digest", digest), headers=headers, body=data or b""
        )

    def ask(self) -> Exchange:
        """The session's state; the Location is followed."""
        answer = self._wire.send("GET", self.location)
        if answer.status == 204 and answer.header("Location"):
            self._follow(answer)
        return answer

    def cancel(self) -> Exchange:
        """DELETE of the session."""
        return self._wire.send("DELETE", self.location, headers={"Content-Length": "0"})

    def _follow(self, answer: Exchange) -> None:
        self.location = urljoin(answer.request.target, present(answer, "Location"))


def pieces(data: bytes, size: int = 16 * 1024) -> Iterator[bytes]:
    """The bytes as a stream that does not tell its length."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
