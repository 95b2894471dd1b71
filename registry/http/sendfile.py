"""A part of a file to a socket by the kernel's sendfile, the same on asyncio and uvloop.

uvloop has no sendfile, and asyncio's never notices a client that stopped reading. Here a thread sends until
the socket is full or a burst is done, then the event loop waits for room: threads are never parked on slow
clients, and a client without progress for a while is cut off. The socket's descriptor is duplicated, so that
a connection that goes away meanwhile cannot give its number to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from aiohttp import web

#: Bytes a thread sends before the next connection has its turn.
_BURST = 8 * 1024 * 1024

#: Linux: more follows at once, so that the head shares a segment with the first bytes.
_MORE = getattr(socket, "MSG_MORE", 0)

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileRegion:
    """`length` bytes from `start` of the open file `fd`."""

    fd: int
    start: int
    length: int


def socket_of(request: web.BaseRequest) -> socket.socket | None:
    """The connection as a socket of the caller's own, who closes it.

    None where only a stream of pieces will do: with TLS, which has to see the bytes, or when the process has
    no descriptor left.
    """
    transport = request.transport
    if transport is None or transport.get_extra_info("sslcontext") is not None:
        return None
    found = transport.get_extra_info("socket")
    if found is None:
        return None
    try:
        return socket.socket(fileno=os.dup(found.fileno()))
    except OSError:
        return None


async def send_file(
    request: web.BaseRequest, sock: socket.socket, head: bytes, region: FileRegion, *, stall_timeout: float
) -> None:
    """Send `head`, then `region`, by a socket from `socket_of`.

    Socket and file stay the caller's, who keeps them open until this returns.

    Raises ConnectionError when the client is gone or takes nothing for `stall_timeout` seconds; the
    connection is aborted then. EOFError when the file is shorter than promised.
    """
    await _empty_buffer(request, stall_timeout)
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client left")
    request.writer.output_size += len(head)
    try:
        sock.setblocking(False)
        await _send(transport, sock, head, region, stall_timeout)
    except BaseException:
        # What the kernel still holds for this client is of no use to anybody.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
        raise
    request.writer.output_size += region.length


async def _send(
    transport: asyncio.Transport, sock: socket.socket, head: bytes, region: FileRegion, stall_timeout: float
) -> None:
    """Alternate between bursts in a thread and waits in the event loop."""
    done, total = 0, len(head) + region.length
    while done < total:
        if transport.is_closing():
            raise ConnectionResetError("the client left")
        sent, full = await _in_thread(partial(_burst, sock, head, region, done))
        done += sent
        if full:
            await _writable(sock, stall_timeout)


def _burst(sock: socket.socket, head: bytes, region: FileRegion, done: int) -> tuple[int, bool]:
    """Send what fits after `done` bytes, at most `_BURST`: how many went, and whether the socket is full."""
    first = done
    goal = min(done + _BURST, len(head) + region.length)
    try:
        while done < len(head):
            done += sock.send(head[done:], _MORE if region.length else 0)
        while done < goal:
            sent = os.sendfile(sock.fileno(), region.fd, region.start + done - len(head), goal - done)
            if sent == 0:
                raise EOFError("the file is shorter than it was")
            done += sent
    except BlockingIOError:
        return done - first, True
    return done - first, False


async def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread and leave no sooner than it does: it uses descriptors that the caller closes."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        raise


async def _writable(sock: socket.socket, timeout: float) -> None:
    """Wait until `sock` has room, or is broken, which the next send will say."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(sock.fileno(), _resolve, ready)
    try:
        async with asyncio.timeout(timeout):
            await ready
    except TimeoutError:
        raise ConnectionAbortedError(f"the client took nothing for {timeout:g} seconds") from None
    finally:
        loop.remove_writer(sock.fileno())


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _empty_buffer(request: web.BaseRequest, timeout: float) -> None:
    """Wait until the kernel has all that was written before: sendfile goes round the transport's buffer."""
    transport = request.transport
    if transport is None or not transport.get_write_buffer_size():
        return
    low, high = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=0)
    try:
        async with asyncio.timeout(timeout):
            while transport.get_write_buffer_size() and not transport.is_closing():
                await request.writer.drain()
                await asyncio.sleep(0)
    except TimeoutError:
        transport.abort()
        raise ConnectionAbortedError(f"the client took nothing for {timeout:g} seconds") from None
    finally:
        transport.set_write_buffer_limits(high, low)
