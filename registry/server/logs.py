"""What is written to stderr: text for people or JSON lines for collectors, always by one thread.

A terminal or pipe that does not take our lines must not stop the event loop, so lines queue for a thread, and
beyond a bound they are dropped and counted. Access lines are gathered as tuples and formatted there as well.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol

#: The id of the request being answered, for log lines written on its behalf.
request_id: ContextVar[str] = ContextVar("artifact_store_request_id", default="")

#: Batches waiting for the thread, at most; a batch is a log line or up to `_GATHER` seconds of access lines.
_LONGEST_QUEUE = 1000

_CLOSE_SECONDS = 2.0

_quoted = json.encoder.encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class Access:
    """One answered request. `time` is in seconds since the epoch, `seconds` how long it took."""

    time: float
    request_id: str
    remote: str
    method: str
    target: str
    status: int
    bytes_in: int
    bytes_out: int
    seconds: float
    agent: str


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def access_as_text(entry: Access) -> str:
    return (
        f"{_stamp(entry.time)} access {entry.remote} {entry.method} {_quoted(entry.target)} {entry.status} "
        f"in={entry.bytes_in} out={entry.bytes_out} {entry.seconds * 1000:.1f}ms id={entry.request_id} "
        f"agent={_quoted(entry.agent)}\n"
    )


def access_as_json(entry: Access) -> str:
    return (
        f'{{"time":"{_stamp(entry.time)}","level":"info","logger":"access",'
        f'"request_id":{_quoted(entry.request_id)},"remote":{_quoted(entry.remote)},'
        f'"method":{_quoted(entry.method)},"target":{_quoted(entry.target)},"status":{entry.status},'
        f'"bytes_in":{entry.bytes_in},"bytes_out":{entry.bytes_out},"seconds":{entry.seconds:.6f},'
        f'"agent":{_quoted(entry.agent)}}}\n'
    )


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        identity = request_id.get()
        line = f"{_stamp(record.created)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        line = line.replace("\n", "\\n") + (f" id={identity}" if identity else "")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line + "\n"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identity := request_id.get():
            entry["request_id"] = identity
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry) + "\n"


class Writer(Protocol):
    """Takes lines."""

    @property
    def lost(self) -> int: ...

    def put(self, lines: Callable[[], str]) -> None: ...

    def close(self) -> None: ...


class DirectWriter:
    """Writes at once, for processes that may not have threads because they fork."""

    def __init__(self, stream: IO[str]) -> None:
        self.lost = 0
        self._stream = stream

    def put(self, lines: Callable[[], str]) -> None:
        self._stream.write(lines())
        self._stream.flush()

    def close(self) -> None:
        """Nothing is queued."""


class LineWriter:
    """The thread that owns the stream. `lost` counts batches dropped because the stream did not take them."""

    def __init__(self, stream: IO[str]) -> None:
        self.lost = 0
        self._stream = stream
        self._queue: queue.SimpleQueue[Callable[[], str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, lines: Callable[[], str]) -> None:
        """Queue what `lines` will return; it runs in the thread."""
        if self._queue.qsize() >= _LONGEST_QUEUE:
            self.lost += 1
        else:
            self._queue.put(lines)

    def close(self) -> None:
        """Write what is queued, for two seconds at most."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            try:
                self._stream.write(lines())
                self._stream.flush()
            except (OSError, ValueError):
                self.lost += 1  # nobody reads stderr any more; serving goes on


class _Handler(logging.Handler):
    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        # Formatted here, where the request's context and the exception are.
        line = self.format(record)
        self._writer.put(lambda: line)


class Log:
    """The process's log: Python's `logging` and the access log, through one writer."""

    def __init__(self, writer: Writer, *, level: str, form: str, access: bool) -> None:
        self.writer = writer
        self.access_enabled = access and level in ("debug", "info")
        self._render = access_as_json if form == "json" else access_as_text
        handler = _Handler(self.writer)
        handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(level.upper())
        # Libraries that speak at info about each statement or connection.
        for noisy in ("alembic", "aiosqlite", "asyncio", "sqlalchemy"):
            logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
        logging.captureWarnings(True)

    def access(self, entries: Sequence[Access]) -> None:
        """Queue lines for a batch of requests."""
        render = self._render
        self.writer.put(lambda: "".join(render(entry) for entry in entries))

    def close(self) -> None:
        logging.getLogger().handlers.clear()
        self.writer.close()
