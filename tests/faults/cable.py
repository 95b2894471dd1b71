"""A cable between a client and a server that a test can pull: TCP that stops, breaks, or leads elsewhere.

It runs in a thread of its own, so that tests with and without an event loop can use it. What a cut holds back
flows on when it is mended, as TCP sends again what was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.loop import LoopThread

#: A port on loopback, or the path of a Unix socket.
Target = int | Path


class Cable:
    """Ends at `port` of the address `host`, and leads to `target`."""

    def __init__(self, target: Target, host: str = "127.0.0.1") -> None:
        self._host = host
        self._target = target
        self._thread = LoopThread()
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._whole = True
        self._server: asyncio.Server = self._thread.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """From now on nothing arrives at either end, and nobody is told."""
        self._call(lambda: self._set_whole(False))

    def mend(self) -> None:
        """Everything flows again."""
        self._call(lambda: self._set_whole(True))

    def snap(self) -> None:
        """Connections there are now end at once."""
        self._call(self._snap)

    def lead_to(self, target: Target) -> None:
        """New connections go there; those there are now end."""
        self._call(lambda: setattr(self, "_target", target))
        self.snap()

    def close(self) -> None:
        self._thread.run(self._end())
        self._thread.close()

    # --- in the cable's own thread ---------------------------------------------------------------------

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, self._host, 0)

    async def _end(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _snap(self) -> None:
        for line in self._lines:
            line.end()

    def _set_whole(self, whole: bool) -> None:
        self._whole = whole
        for line in self._lines:
            line.let_pass(whole)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(writer)
        line.let_pass(self._whole)
        self._lines.add(line)
        try:
            with suppress(OSError):
                await line.passes()
                there = self._target
                if isinstance(there, Path):
                    far_reader, far = await asyncio.open_unix_connection(str(there))
                else:
                    far_reader, far = await asyncio.open_connection("127.0.0.1", there)
                line.far = far
                both = [line.pump(reader, far), line.pump(far_reader, writer)]
                await asyncio.wait(
                    [asyncio.get_running_loop().create_task(one) for one in both],
                    return_when="FIRST_COMPLETED",
                )
        finally:
            line.end()
            self._lines.discard(line)

    # --- from other threads ----------------------------------------------------------------------------

    def _call(self, change: Callable[[], object]) -> None:
        async def changed() -> None:
            change()

        self._thread.run(changed())


class _Line:
    """One connection through the cable."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self._near = near
        self.far: asyncio.StreamWriter | None = None
        self._passes = asyncio.Event()

    def let_pass(self, passes: bool) -> None:
        if passes:
            self._passes.set()
        else:
            self._passes.clear()

    async def passes(self) -> None:
        await self._passes.wait()

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                await self.passes()
                sink.write(data)
                await sink.drain()
        await self.passes()  # that a connection ended is not told through a cut cable either

    def end(self) -> None:
        self._near.transport.abort()
        if self.far is not None:
            self.far.transport.abort()
