"""A TCP proxy that counts, slows, cuts and spoils what passes through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_PIECE = 64 * 1024


@dataclass
class Proxy:
    """Between a client and `host:port`. Counts are of bytes since the start; `cuts` are connections cut.

    `rate`: bytes a second and direction, None for no limit. `budgets`: after how many bytes, both directions
    together, each next connection is cut off without a farewell. `spoil` changes what comes from the server.
    """

    host: str
    port: int
    rate: float | None = None
    budgets: Iterator[int] | None = None
    spoil: Callable[[bytes], bytes] | None = None
    up: int = 0
    down: int = 0
    cuts: int = 0
    address: str = ""
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def reached(self, up: int = 0, down: int = 0) -> None:
        """Wait until so many bytes have passed."""
        async with asyncio.timeout(60):
            while self.up < up or self.down < down:
                await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        other_reader, other_writer = await asyncio.open_connection(self.host, self.port)
        connection = _Connection(next(self.budgets) if self.budgets is not None else None)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, other_writer, connection, upwards=True))
                group.create_task(self._pump(other_reader, writer, connection, upwards=False))
        except* (OSError, _CutError):
            self.cuts += connection.spent
        finally:
            for side in (writer, other_writer):
                if connection.spent:
                    side.transport.abort()
                side.close()
                with suppress(OSError):
                    await side.wait_closed()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: _Connection,
        *,
        upwards: bool,
    ) -> None:
        while data := await reader.read(_PIECE):
            if not upwards and self.spoil is not None:
                data = self.spoil(data)
            allowed = connection.take(len(data))
            writer.write(data[:allowed])
            await writer.drain()
            if upwards:
                self.up += allowed
            else:
                self.down += allowed
            if allowed < len(data):
                raise _CutError
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
        with suppress(OSError):
            writer.write_eof()


class _CutError(Exception):
    """The connection's budget is spent."""


class _Connection:
    def __init__(self, budget: int | None) -> None:
        self._left = budget
        self.spent = False

    def take(self, count: int) -> int:
        if self._left is None:
            return count
        allowed = min(count, self._left)
        self._left -= allowed
        self.spent = allowed < count
        return allowed
