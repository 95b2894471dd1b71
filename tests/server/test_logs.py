"""Log lines: one a record, in two forms, written by a thread that never blocks the server."""

import io
import json
import logging
import os
import threading
import time
from collections.abc import Iterator

import pytest

from registry.server.logs import Access, LineWriter, Log, access_as_json, access_as_text, request_id

ENTRY = Access(
    time=1_700_000_000.25,
    request_id="abc-1",
    remote="192.0.2.1",
    method="GET",
    target='/v2/"x"\x1b[31m',
    status=200,
    bytes_in=0,
    bytes_out=12,
    seconds=0.0042,
    agent="curl/8\n2023-11-14T22:13:20Z forged",
)


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def written(form: str, *, level: str = "info") -> tuple[io.StringIO, Log]:
    stream = io.StringIO()
    return stream, Log(LineWriter(stream), level=level, form=form, access=True)


def test_an_access_line_is_one_line_whatever_the_client_sends() -> None:
    line = access_as_text(ENTRY)
    assert line.startswith("2023-11-14T22:13:20.250Z access 192.0.2.1 GET ")
    assert " 200 in=0 out=12 4.2ms id=abc-1 " in line
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_an_access_line_as_json() -> None:
    found = json.loads(access_as_json(ENTRY))
    assert found["target"] == ENTRY.target
    assert found["agent"] == ENTRY.agent
    assert (found["status"], found["bytes_out"], found["seconds"]) == (200, 12, 0.0042)


def test_records_carry_the_request_they_belong_to() -> None:
    for form in ("text", "json"):
        stream, log = written(form)
        token = request_id.set("r-1")
        try:
            logging.getLogger("x").warning("two\nlines")
        finally:
            request_id.reset(token)
        log.close()
        text = stream.getvalue()
        assert text.count("\n") == 1
        if form == "json":
            assert json.loads(text)["request_id"] == "r-1"
            assert json.loads(text)["message"] == "two\nlines"
        else:
            assert text.endswith("warning x: two\\nlines id=r-1\n")


def test_an_exception_comes_with_its_traceback() -> None:
    stream, log = written("json")
    try:
        raise ValueError("inside")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    log.close()
    assert "ValueError: inside" in json.loads(stream.getvalue())["exception"]


def test_levels() -> None:
    stream, log = written("text", level="warning")
    logging.getLogger("x").info("hidden")
    logging.getLogger("x").error("shown")
    log.close()
    assert "hidden" not in stream.getvalue()
    assert "shown" in stream.getvalue()
    assert not log.access_enabled


def test_a_reader_that_reads_nothing_does_not_stop_the_server() -> None:
    reading, writing = os.pipe()
    writer = LineWriter(os.fdopen(writing, "w"))
    begun = time.monotonic()
    for _ in range(5000):
        writer.put(lambda: "x" * 1000 + "\n")
    assert time.monotonic() - begun < 2
    assert writer.lost > 0
    # Take what is there, so that the thread can end.
    drain = threading.Thread(target=lambda: iter_all(reading))
    drain.start()
    writer.close()
    writer._stream.close()
    drain.join(10)
    os.close(reading)


def iter_all(fd: int) -> None:
    while os.read(fd, 1 << 20):
        pass
