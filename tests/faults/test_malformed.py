"""Requests that are no HTTP, or HTTP that means harm: a 4xx or cut off, never a 500, and nothing hangs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.faults.history import OCI_IMAGE, sha256
from tests.faults.wire import ask, connected, head, read
from tests.server.program import Running, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("malformed")
    with serving(folder, "--limits-idle", "1", "--limits-keepalive", "2", "--drain", "2") as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def answers(server: Running, request: bytes) -> list[int]:
    """The statuses of all that comes back before the server hangs up, which it must within seconds."""
    with connected(server, 10) as line:
        try:
            line.sendall(request)
        except ConnectionError:
            return []
        data = b""
        start = time.monotonic()
        try:
            while part := line.recv(1 << 16):
                data += part
        except ConnectionError:
            pass
        assert time.monotonic() - start < 8
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


POST = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: t\r\n"
NONSENSE = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "NUL bytes": bytes(4096),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 9": b"GET /v2/ HTTP/9.9\r\nHost: t\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: t\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "length with sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "length in words": POST + b"Content-Length: five\r\n\r\nhello",
    "length with underscore": POST + b"Content-Length: 1_0\r\n\r\nhellohello",
    "length in other digits": POST + b"Content-Length: \xd9\xa5\r\n\r\nhello",
    "empty length": POST + b"Content-Length:\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "list of lengths": POST + b"Content-Length: 5, 6\r\n\r\nhello!",
    "absurd length": POST + b"Content-Length: " + b"9" * 60 + b"\r\n\r\nhello",
    "length and chunks": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    "chunks and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded header": POST + b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n",
    "header without colon": POST + b"nonsense\r\n\r\n",
    "header without name": POST + b": value\r\n\r\n",
    "control in value": POST + b"X-A: a\x00b\r\n\r\n",
    "bare CR": POST + b"X-A: a\rX-B: b\r\n\r\n",
    "control in path": b"GET /v2/\x01 HTTP/1.1\r\nHost: t\r\n\r\n",
    "long request line": b"GET /v2/" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "long header": POST + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": POST + b"".join(b"X-%d: a\r\n" % n for n in range(50_000)) + b"\r\n",
    "endless head": POST + b"X-A: a\r\n" * 100_000,
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_or_cut_off(server: Running, name: str) -> None:
    found = answers(server, NONSENSE[name])
    assert all(400 <= status < 500 or status in (501, 505) for status in found), found
    assert len(found) <= 1, "what follows a request that is not understood must not be taken for another"
    assert ask(server, "GET", "/v2/").status == 200


CHUNKS = {
    "size is no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "size is negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "size has a prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size is absurd": b"f" * 40 + b"\r\nhello",
    "size is short": b"3\r\nhello\r\n0\r\n\r\n",
    "no line end": b"5\r\nhello0\r\n\r\n",
    "no end": b"5\r\nhello\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("face", ["oci", "native"])
def test_broken_chunks_are_refused_and_the_upload_lives(server: Running, face: str, name: str) -> None:
    root = "/v2/chunks/blobs/uploads/" if face == "oci" else "/api/v1/uploads"
    place = ask(server, "POST", root).headers["location"]
    offset = {} if face == "oci" else {"Upload_Offset": "0"}
    found = answers(server, head("PATCH", place, Transfer_Encoding="chunked", **offset) + CHUNKS[name])
    assert all(400 <= status < 500 for status in found), found
    if face == "oci":
        state = ask(server, "GET", place)
        assert state.status == 204
        assert state.headers["range"] in ("0-0", "0-2", "0-4")
    else:
        assert ask(server, "HEAD", place).headers["upload-offset"] in ("0", "3", "5")
    assert ask(server, "DELETE", place).status == 204


@pytest.mark.parametrize("request_line", [b"GET /v2/ HTTP/1.0", b"GET /v2/"], ids=["1.0", "0.9"])
def test_old_http_is_answered_and_closed(server: Running, request_line: bytes) -> None:
    with connected(server) as line:
        line.sendall(request_line + b"\r\n\r\n")
        assert read(line).status == 200
        assert line.recv(1) == b""


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    targets = ("/v2/", "/v2/none/tags/list", "/healthz", "/v2/")
    assert answers(server, b"".join(head("GET", target) for target in targets)) == [200, 404, 200, 200]


def test_a_body_is_not_taken_for_a_request(server: Running) -> None:
    hidden = head("DELETE", "/v2/x/manifests/v1")
    first = head("GET", "/v2/", Content_Length=str(len(hidden))) + hidden
    assert answers(server, first + head("GET", "/healthz")) == [200, 200]


PATHS = [
    "/v2/a%00b/tags/list",
    "/v2/a%2e%2e/b/tags/list",
    "/v2/../../etc/passwd",
    "/v2/%2e%2e/%2e%2e/etc/passwd",
    "/v2/..%2f..%2fetc/manifests/v1",
    "/v2/a/blobs/sha256:%2e%2e%2f",
    "/v2/a/blobs/..%2f..%2f..%2fledger.sqlite",
    "/v2/a/blobs/uploads/..%2f..%2flock",
    "/v2/a/manifests/%ff%fe",
    "/v2/a/manifests/%",
    "/v2/a/manifests/%zz",
    "/v2/a/tags/list?n=%00&last=%ff",
    "/v2/a/tags/list?n=" + "9" * 400,
    "/v2/a/referrers/sha256:" + "0" * 10_000,
    "/v2//tags/list",
    "/v2/a//tags/list",
    "//v2/",
    "/v2/a/tags/list?" + "&".join(f"a{n}=b" for n in range(2000)),
    "/api/v1/content/blake3:%00",
    "/api/v1/content/..%2f..%2flock",
    "/api/v1/packages/a:v1/files/..%2f..%2fetc",
    "/api/v1/packages/a:v1/files/%00",
    "/api/v1/packages/a:v1/files/%ff",
    "/api/v1/packages/%2e%2e:v1",
    "/api/v1/uploads/..%2f..%2flock",
    "/api/v1/uploads/%00",
    "/api/v1/search?metadata.%00=%ff",
    "/api/v1/events?after=-1",
    "/api/v1/events?after=" + "9" * 100,
    "/api/v1/schemas/%2e%2e%2f%00",
    "*",
    "http://elsewhere/v2/",
    "/v2/é/tags/list",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "FROB"]
)
def test_odd_targets_are_no_server_error(server: Running, method: str, path: str) -> None:
    answer = ask(server, method, path)
    assert answer.status < 500 or answer.status == 501, (answer.status, answer.body[:300])
    assert b"root:" not in answer.body
    assert b"SQLite" not in answer.body


HEADERS = [
    ("Range", "bytes=" + ",".join(f"{n}-{n}" for n in range(3000))),
    ("Range", "bytes=9999999999999999999999-"),
    ("Range", "bytes=-0"),
    ("Range", "lines=1-2"),
    ("If-None-Match", '"' * 5000),
    ("If-Match", "*, *"),
    ("If-Modified-Since", "yesterday"),
    ("If-Range", "x" * 1000),
    ("Accept", "," * 5000),
    ("Accept", "a/b;q=x, */*;q=1e400"),
    ("Accept-Encoding", "gzip;q=banana"),
    ("Authorization", "Basic %%%"),
    ("Authorization", "Bearer " + "a" * 16_000),
    ("Cookie", "=;=;="),
    ("Content-Type", "/"),
    ("Content-Type", "a/b; charset=\xff"),
    ("Content-Encoding", "gzip"),
    ("Expect", "the unexpected"),
    ("Upgrade", "websocket"),
    ("Connection", "close, keep-alive, upgrade"),
    ("Tus-Resumable", "9.9"),
    ("Upload-Offset", "1e3"),
    ("Content-Range", "bytes 5-1/*"),
    ("Content-Range", "0-99999999999999999999999999"),
    ("X-Forwarded-For", "x" * 8000),
    ("X-Request-Id", "\t\x7f"),
    ("Host", "a b/../c"),
    ("Last-Event-ID", "-9e9"),
]


@pytest.mark.parametrize("name, value", HEADERS, ids=[f"{n}: {v[:20]!r}" for n, v in HEADERS])
def test_odd_headers_are_no_server_error(server: Running, name: str, value: str) -> None:
    data = os.urandom(1000)
    digest = sha256(data)
    assert ask(server, "POST", f"/v2/odd/blobs/uploads/?digest={digest}", data).status == 201
    place = ask(server, "POST", "/v2/odd/blobs/uploads/").headers["location"]
    upload = ask(server, "POST", "/api/v1/uploads").headers["location"]
    for method, target in (
        ("GET", "/v2/"),
        ("GET", f"/v2/odd/blobs/{digest}"),
        ("HEAD", f"/v2/odd/blobs/{digest}"),
        ("PATCH", place),
        ("PUT", "/v2/odd/manifests/v1"),
        ("GET", f"/api/v1/content/{digest}"),
        ("PATCH", upload),
        ("PUT", "/api/v1/packages/odd:v1"),
        ("GET", "/api/v1/events?limit=1"),
    ):
        line = f"{method} {target} HTTP/1.1\r\nHost: t\r\n{name}: {value}\r\nContent-Length: 2\r\n"
        found = answers(server, line.encode("latin-1") + b"Connection: close\r\n\r\n{}")
        assert all(status < 500 or status == 501 for status in found), (method, target, found)


def test_a_body_of_another_length_than_told(server: Running) -> None:
    data = os.urandom(5000)
    target = f"/v2/length/blobs/uploads/?digest={sha256(data)}"
    # Longer than told: the rest is another request, and none that means anything.
    found = answers(server, head("POST", target, Content_Length="4000") + data)
    assert set(found) == {400}
    # Shorter than told, and then silence.
    found = answers(server, head("POST", target, Content_Length="6000") + data)
    assert all(status in (400, 408) for status in found), found
    assert ask(server, "GET", f"/v2/length/blobs/{sha256(data)}").status == 404
    body = b'{"schemaVersion":2,"mediaType":"%s"' % OCI_IMAGE.encode()
    put = head("PUT", "/v2/length/manifests/v1", Content_Type=OCI_IMAGE, Content_Length=str(len(body) + 5))
    found = answers(server, put + body)
    assert all(status in (400, 408) for status in found), found
    assert ask(server, "GET", "/v2/length/manifests/v1").status == 404


def test_too_large_is_413_before_it_is_read(server: Running) -> None:
    for target in ("/v2/large/manifests/v1", f"/api/v1/packages/{quote('large')}:v1"):
        with connected(server) as line:
            line.sendall(head("PUT", target, Content_Type="application/json", Content_Length=str(2**40)))
            assert read(line).status == 413


def test_nonsense_is_not_sent_back(server: Running) -> None:
    """Who answers with what was sent, unread, lends its name to it."""
    with connected(server) as line:
        line.sendall(b"<script>alert(1)</script>" * 100 + b"\r\n\r\n")
        answer = read(line)
    assert answer.status == 400
    assert b"<script>" not in answer.body
    assert len(answer.body) < 300
    assert answer.headers["server"] == "artifact-store"
    assert answer.headers["content-type"].startswith("text/plain")
