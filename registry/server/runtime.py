"""One worker's life: open the store, answer on a socket, drain on a signal, close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectionError
from aiohttp.http_exceptions import HttpProcessingError

from registry.server.app import ServerRequest
from registry.server.board import Board
from registry.server.composition import open_parts
from registry.server.connection import ConnectionServer
from registry.server.gate import Gate
from registry.server.logs import Log
from registry.server.settings import Settings
from registry.server.tls import tls_context

#: Seconds a refused body is read on and thrown away, so that its sender sees the answer.
_LINGER = 5.0

_LOG = logging.getLogger("server")


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place: its number from 0, the board all share, and how its life is watched.

    `parent` is a pipe whose end means that the supervisor is gone; None for a server of one process.
    """

    number: int
    board: Board
    parent: int | None = None


def serve(sock: socket.socket, settings: Settings, seat: Seat, log: Log, ready: Callable[[], None]) -> None:
    """Serve on `sock` until SIGTERM or SIGINT, then drain. `ready` is called when requests are answered.

    Raises StoreError and OSError when the store cannot be opened.
    """
    raise_file_limit()
    row = seat.board.row(seat.number)
    row.set("pid", os.getpid())
    row.set("in_flight", 0)
    logging.getLogger("aiohttp.server").addFilter(_no_client_faults)
    logging.getLogger("asyncio").addFilter(_no_lost_connections)
    _run(_serve(sock, settings, seat, log, ready), settings.server.loop)


def raise_file_limit() -> None:
    """Each connection and each open blob is a descriptor: take all the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS refuses its own hard limit; then what we have must do.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _run(main: Coroutine[Any, Any, None], loop: str) -> None:
    factory = None
    if loop != "asyncio":
        try:
            import uvloop
        except ImportError:
            if loop == "uvloop":
                raise OSError(
                    "loop is uvloop, which is not installed; --loop asyncio does without it"
                ) from None
        else:
            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def _serve(
    sock: socket.socket, settings: Settings, seat: Seat, log: Log, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    stop = _stop_event(loop, seat)
    tls = tls_context(settings)
    async with open_parts(settings, seat.board, seat.number, log) as parts:
        gate = Gate(parts.app.handle)
        server = ConnectionServer(
            gate.handle,
            request_factory=lambda message, payload, protocol, writer, task: ServerRequest(
                message, payload, protocol, writer, task, loop
            ),
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=settings.limits.keepalive,
            max_line_size=settings.limits.header_bytes,
            max_field_size=settings.limits.header_bytes,
            lingering_time=_LINGER,
        )
        listener = await loop.create_server(server, sock=sock, ssl=tls)
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        _LOG.info("worker %d (process %d) answers with %s", seat.number, os.getpid(), type(loop).__module__)
        ready()
        await stop.wait()
        parts.readiness.draining = True
        gate.wind_down()
        if settings.server.drain_delay:
            _LOG.info("worker %d is not ready any more", seat.number)
            await asyncio.sleep(settings.server.drain_delay)
        _LOG.info("worker %d drains for up to %g seconds", seat.number, settings.server.drain)
        listener.close()
        await gate.drain(server, settings.server.drain)
        parts.app.flush()
    _LOG.info("worker %d ends", seat.number)


def _stop_event(loop: asyncio.AbstractEventLoop, seat: Seat) -> asyncio.Event:
    """Set by the first signal, or the supervisor's end. A second signal ends the process at once."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            sys.stderr.flush()
            os._exit(1)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, asked)
    if seat.parent is None:
        loop.add_signal_handler(signal.SIGINT, asked)
    else:
        # A terminal's ^C reaches the whole process group; the supervisor alone decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_reader(seat.parent, _parent_gone, loop, seat.parent, stop)
    return stop


def _parent_gone(loop: asyncio.AbstractEventLoop, pipe: int, stop: asyncio.Event) -> None:
    loop.remove_reader(pipe)
    stop.set()


def _no_client_faults(record: logging.LogRecord) -> bool:
    """aiohttp logs a traceback for every malformed request head; the 400 it answers says enough."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _no_lost_connections(record: logging.LogRecord) -> bool:
    """aiohttp's client leaves the failure of its writing half to the loop, which complains with a traceback;
    whoever sent the request was told by the reading half."""
    return not (record.exc_info and isinstance(record.exc_info[1], ClientConnectionError))
