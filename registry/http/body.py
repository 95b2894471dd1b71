"""Request bodies: streamed or whole, with idle timeouts, and what becomes of a body nobody wants.

`BaseRequest` answers no `Expect: 100-continue`, so the first read here does (RFC 9110 section 10.1.1): a
client whose request is refused by its head alone never sends its body. Nothing here has a deadline for a
whole body, only for silence, so that a slow line can push a large layer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web

from registry.contract.errors import ErrorKind, StoreError

#: Seconds without a byte after which an upload is given up.
IDLE_TIMEOUT = 60.0

#: An unread rest of at most this many bytes is read and thrown away, so that the connection can go on.
SMALL_REST = 1024 * 1024

#: Bytes and seconds spent on a body that was refused, so that its sender gets to see the answer: closing a
#: socket with unread input resets it, and the reset may overtake the answer (RFC 9112 section 9.6).
_LINGER_BYTES = 1024 * 1024
_LINGER_SECONDS = 1.0

_CONTINUED = web.RequestKey("registry.http.continued", bool)


def content_length(request: web.BaseRequest) -> int | None:
    """The body's length in bytes, None when only its end will tell (chunked). No body at all is 0."""
    if "Transfer-Encoding" in request.headers:
        return None
    text = request.headers.get("Content-Length")
    return int(text) if text else 0


def body_stream(request: web.BaseRequest, idle_timeout: float = IDLE_TIMEOUT) -> AsyncIterator[bytes]:
    """The body in pieces as they arrive: none is empty, the largest are some three quarters of a MiB.

    Raises UNSUPPORTED_MEDIA_TYPE at once for a Content-Encoding other than identity; while iterating,
    UPLOAD_ABORTED when the connection breaks off (after every byte that arrived was given out) or nothing
    comes for `idle_timeout` seconds, BAD_REQUEST for broken chunked framing.
    """
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise StoreError(
            ErrorKind.UNSUPPORTED_MEDIA_TYPE,
            f"send the body without Content-Encoding: {coding}; bytes are stored as they come",
        )
    return _Body(request, idle_timeout)


async def read_capped(request: web.BaseRequest, limit: int, idle_timeout: float = IDLE_TIMEOUT) -> bytes:
    """The whole body of at most `limit` bytes. Raises TOO_LARGE before more is read, and as `body_stream`."""
    length = content_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    total = 0
    async for piece in body_stream(request, idle_timeout):
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def answer_early(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Answer although the body may not have been read to its end. For every error response.

    A small rest is drained and the connection lives on. A large or unknown one is not read: the answer goes
    out with `Connection: close`, its sender gets a moment to see it, then the connection ends. So it does at
    once after 408, since nothing more comes.
    """
    content = request.content
    if content.is_eof():
        return response
    silent = response.status == HTTPStatus.REQUEST_TIMEOUT
    if not silent and _rest_is_small(request):
        return response  # aiohttp reads and drops the rest before the next request
    response.force_close()
    try:
        await response.prepare(request)
        await response.write_eof()
        if not silent:
            await _linger(request)
    except ConnectionError:
        pass  # the client left first
    request.protocol.force_close()
    return response


def _too_large(limit: int) -> StoreError:
    return StoreError(ErrorKind.TOO_LARGE, f"the body is larger than the {limit} bytes allowed here")


def _rest_is_small(request: web.BaseRequest) -> bool:
    length = content_length(request)
    if length is None or _awaits_continue(request):
        return False  # whether a client that was not told to go on sends the rest, nobody knows
    return length - request.content.total_bytes <= SMALL_REST


def _awaits_continue(request: web.BaseRequest) -> bool:
    if request.get(_CONTINUED, False):
        return False
    return request.headers.get("Expect", "").lower() == "100-continue"


def _send_continue(request: web.BaseRequest) -> None:
    request[_CONTINUED] = True
    transport = request.transport
    if transport is not None and not request.content.total_bytes:
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _linger(request: web.BaseRequest) -> None:
    content = request.content
    until = content.total_bytes + _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while not content.is_eof() and content.total_bytes < until:
                await content.readany()
    except (TimeoutError, web.RequestPayloadError):
        pass


class _Body:
    """The iterator behind `body_stream`."""

    def __init__(self, request: web.BaseRequest, idle_timeout: float) -> None:
        self._request = request
        self._content = request.content
        self._idle_timeout = idle_timeout
        self._taken = 0
        self._broken: BaseException | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._broken is not None:
            raise _aborted(self._broken)
        if _awaits_continue(self._request):
            _send_continue(self._request)
        try:
            piece = await self._read()
        except TimeoutError:
            raise StoreError(
                ErrorKind.UPLOAD_ABORTED, f"no byte of the body came for {self._idle_timeout:g} seconds"
            ) from None
        except web.RequestPayloadError as error:
            raise StoreError(ErrorKind.BAD_REQUEST, f"the body's framing is broken: {error}") from None
        except asyncio.CancelledError:
            if not _ended_by_server(self._content.exception()):
                raise
            piece = self._rescue(self._content.exception())
        except (ConnectionError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and self._request.transport is not None:
                raise
            piece = self._rescue(error)
        if not piece:
            raise StopAsyncIteration
        self._taken += len(piece)
        return piece

    async def _read(self) -> bytes:
        content = self._content
        if content.total_bytes > self._taken or content.is_eof():
            return await content.readany()  # does not wait, so needs no timer
        async with asyncio.timeout(self._idle_timeout):
            return await content.readany()

    def _rescue(self, error: BaseException | None) -> bytes:
        """What had arrived when the connection broke; a reader that holds an error refuses to give it."""
        self._broken = error
        content = self._content
        if content.total_bytes <= self._taken:
            raise _aborted(error)
        content.set_exception(None)  # type: ignore[arg-type]
        try:
            return content.read_nowait()
        finally:
            content.set_exception(error or ConnectionResetError())


def _ended_by_server(error: BaseException | None) -> bool:
    """Shutdown puts a CancelledError into the body without cancelling the task that reads it."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or not task.cancelling())


def _aborted(error: BaseException | None) -> StoreError:
    return StoreError(ErrorKind.UPLOAD_ABORTED, f"the connection ended before the body did ({error})")
