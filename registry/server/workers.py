"""Several processes on one port: a parent that binds, forks, restarts who dies, and passes signals on.

The parent stays without event loop and without threads, so that a fork is safe at any time; the workers
accept from the socket they inherit. Each holds the end of a pipe whose other end only the parent has: when
it closes, the parent is gone, however that came about, and the worker drains and ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO

from registry.server.board import Board
from registry.server.runtime import Seat

#: Seconds before a worker that died is started again: doubled each time it dies young, back to the first
#: once it has lived for `_GROWN_UP` seconds.
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_GROWN_UP = 30.0

#: Beyond its time to drain a worker gets so many seconds to close the store.
_GRACE = 5.0

#: What a worker writes on its pipe when it answers; anything else is why it cannot.
_READY = b"ready"

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

#: Serves in the child: (seat, ready). Raises what keeps it from serving.
Work = Callable[[Seat, Callable[[], None]], None]


class StartError(Exception):
    """A worker could not start; the message says why."""


@dataclass(slots=True)
class _Worker:
    """One seat. `pid` is 0 between two lives."""

    number: int
    pid: int = 0
    pipe: int = -1
    said: bytes = b""
    ready: bool = False
    born: float = 0.0
    delay: float = _FIRST_DELAY
    due: float = 0.0


class Supervisor:
    """Keeps a worker in each seat of the board until a signal.

    `explain` makes a sentence of what kept a worker from starting, `complain` logs one about a death.
    """

    def __init__(
        self,
        board: Board,
        work: Work,
        *,
        drain: float,
        explain: Callable[[BaseException], str],
        complain: Callable[[str], None],
    ) -> None:
        self._board = board
        self._work = work
        self._drain = drain
        self._explain = explain
        self._complain = complain
        self._workers = [_Worker(number) for number in range(board.workers)]
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._life_read, self._life_write = os.pipe()
        self._wake_read, self._wake_write = socket.socketpair()

    def run(self, ready: Callable[[], None]) -> bool:
        """Serve until SIGTERM or SIGINT. True when all drained in time; `ready` is called when all answer.

        Raises StartError when a worker cannot start at the beginning; later it is tried again and again.
        """
        with self._signals():
            # The first alone, so that one process makes or migrates the database and the others find it done.
            stopped = self._start(self._workers[:1]) or self._start(self._workers[1:])
            if not stopped:
                ready()
                self._keep()
            return self._stop()

    # --- the three phases ------------------------------------------------------------------------------

    def _start(self, workers: list[_Worker]) -> bool:
        """Fork and wait until they answer. True when a signal came first."""
        for worker in workers:
            self._fork(worker)
        while not all(worker.ready for worker in workers):
            if self._wait(None):
                return True
            failed = next((worker for worker in workers if not worker.pid), None)
            if failed is not None:
                self._kill(signal.SIGKILL)
                reason = failed.said.decode("utf-8", "replace")
                raise StartError(reason or f"worker {failed.number} died while it started")
        return False

    def _keep(self) -> None:
        """Restart who dies, until a signal."""
        while True:
            waiting = [worker.due for worker in self._workers if not worker.pid]
            timeout = max(0.0, min(waiting) - time.monotonic()) if waiting else None
            if self._wait(timeout):
                return
            now = time.monotonic()
            for worker in self._workers:
                if not worker.pid and worker.due <= now:
                    self._board.row(worker.number).add("restarts", 1)
                    self._fork(worker)

    def _stop(self) -> bool:
        """Let them drain; a second signal, or too long a time, ends them at once."""
        self._stopping = True
        self._kill(signal.SIGTERM)
        deadline = time.monotonic() + self._drain + _GRACE
        while any(worker.pid for worker in self._workers):
            left = deadline - time.monotonic()
            if left <= 0 or self._wait(left):
                self._kill(signal.SIGKILL)
                return False
        return True

    # --- processes -------------------------------------------------------------------------------------

    def _fork(self, worker: _Worker) -> None:
        said_read, said_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(said_read)
            self._be_worker(worker.number, said_write)
        os.close(said_write)
        worker.pid, worker.pipe, worker.born = pid, said_read, time.monotonic()
        worker.said, worker.ready = b"", False
        self._selector.register(said_read, selectors.EVENT_READ, worker)

    def _be_worker(self, number: int, said: int) -> None:
        """The child: never returns."""
        code = 1
        pipe = FileIO(said, "wb")
        try:
            signal.set_wakeup_fd(-1)
            for name in _SIGNALS:
                signal.signal(name, signal.SIG_DFL)
            # The parent's ends must not live on here, or nobody would see the parent go.
            self._selector.close()
            os.close(self._life_write)
            self._wake_read.close()
            self._wake_write.close()
            self._work(Seat(number, self._board, self._life_read), lambda: _say(pipe, _READY))
            code = 0
        except BaseException as error:
            _say(pipe, self._explain(error).encode())
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            # Not sys.exit: the parent's frames and their cleanup are no concern of a child.
            os._exit(code)

    def _kill(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, number)

    def _wait(self, timeout: float | None) -> bool:
        """Take in what happens next. True when it was a signal to stop."""
        stop = False
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                numbers = self._wake_read.recv(4096)
                stop = stop or signal.SIGTERM in numbers or signal.SIGINT in numbers
            else:
                self._listen(key.data)
        self._reap()
        return stop

    def _listen(self, worker: _Worker) -> None:
        data = os.read(worker.pipe, 65536)
        worker.said += data
        worker.ready = worker.said == _READY
        if not data:
            self._hang_up(worker)

    def _hang_up(self, worker: _Worker) -> None:
        if worker.pipe >= 0:
            self._selector.unregister(worker.pipe)
            os.close(worker.pipe)
            worker.pipe = -1

    def _reap(self) -> None:
        for worker in self._workers:
            if worker.pid and os.waitpid(worker.pid, os.WNOHANG)[0]:
                if worker.pipe >= 0:
                    worker.said += os.read(worker.pipe, 65536)
                self._hang_up(worker)
                now = time.monotonic()
                if now - worker.born >= _GROWN_UP:
                    worker.delay = _FIRST_DELAY
                worker.due = now + worker.delay
                pid, worker.pid = worker.pid, 0
                if worker.ready and not self._stopping:
                    self._complain(f"worker {worker.number} (process {pid}) ended")
                worker.ready = False
                worker.delay = min(_LONGEST_DELAY, worker.delay * 2)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals as bytes on a socket, so that they are waited for like everything else."""
        self._wake_write.setblocking(False)
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        wakeup = signal.set_wakeup_fd(self._wake_write.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            self._wake_read.close()
            self._wake_write.close()
            os.close(self._life_write)
            os.close(self._life_read)


def _say(pipe: FileIO, message: bytes) -> None:
    """Once: later the descriptor's number can be that of a connection or of the database."""
    with contextlib.suppress(OSError):
        if not pipe.closed:
            pipe.write(message[:4096])
            pipe.close()
