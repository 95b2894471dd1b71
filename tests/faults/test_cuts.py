"""A connection cut at any byte of an upload: what arrived can be resumed, and nothing else has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.wire import ask, cut, head
from tests.server.program import Running, serving, until

DATA = bytes(range(64))
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
TUS = {"Tus_Resumable": "1.0.0"}

#: Where requests are cut at once; each has a repository of its own.
CLIENTS = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("cuts"), "--log-access", "false") as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


@dataclass(frozen=True)
class Way:
    """One way to send a blob, with what is known of it after a cut."""

    begin: Callable[[Running, str], str]
    """(server, repository) → where the bytes are to go."""
    request: Callable[[str], bytes]
    """The head of the request that carries all the bytes."""
    offset: Callable[[Running, str], int | None]
    """How many bytes the server says it has; None when the upload is over."""
    finish: Callable[[Running, str, int], int]
    """Send the rest from an offset, complete; the last status, 201 or 204."""
    completes: bool
    """Whether the request's last byte makes the blob."""


def oci_begin(server: Running, repository: str) -> str:
    return ask(server, "POST", f"/v2/{repository}/blobs/uploads/").headers["location"]


def oci_offset(server: Running, place: str) -> int | None:
    answer = ask(server, "GET", place)
    if answer.status == 404:
        return None
    assert answer.status == 204
    last = int(answer.headers["range"].partition("-")[2])
    return last + 1 if last else 0  # one byte alone looks like none; see `sure`


def oci_finish(server: Running, place: str, offset: int) -> int:
    rest = DATA[offset:]
    span = {"Content_Range": f"{offset}-{len(DATA) - 1}"} if rest else {}
    answer = ask(server, "PUT", f"{place}?digest={DIGEST}", rest, **span)
    return answer.status


def native_begin(server: Running, repository: str) -> str:
    body = f'{{"repository": "{repository}"}}'.encode()
    answer = ask(server, "POST", "/api/v1/uploads", body, Content_Type="application/json")
    return answer.headers["location"]


def tus_begin(server: Running, repository: str) -> str:
    answer = ask(server, "POST", "/api/v1/uploads", b"", Upload_Length=str(len(DATA)), **TUS)
    assert answer.status == 201, answer.body
    return answer.headers["location"]


def native_offset(server: Running, place: str) -> int | None:
    return int(ask(server, "HEAD", place, b"", **TUS).headers["upload-offset"])


def native_finish(server: Running, place: str, offset: int) -> int:
    if offset < len(DATA):
        span = f"bytes {offset}-{len(DATA) - 1}/*"
        assert ask(server, "PATCH", place, DATA[offset:], Content_Range=span).status == 204
    return ask(server, "POST", f"{place}/complete").status


def tus_finish(server: Running, place: str, offset: int) -> int:
    if offset == len(DATA):
        return 204
    sent = {"Upload_Offset": str(offset), "Content_Type": "application/offset+octet-stream"}
    return ask(server, "PATCH", place, DATA[offset:], **sent, **TUS).status


LENGTH = {"Content_Length": str(len(DATA))}
SPAN = f"0-{len(DATA) - 1}"
WAYS = {
    "oci patch": Way(
        oci_begin, lambda p: head("PATCH", p, Content_Range=SPAN, **LENGTH), oci_offset, oci_finish, False
    ),
    "oci put": Way(
        oci_begin, lambda p: head("PUT", f"{p}?digest={DIGEST}", **LENGTH), oci_offset, oci_finish, True
    ),
    "native patch": Way(
        native_begin,
        lambda p: head("PATCH", p, Content_Range=f"bytes {SPAN}/*", **LENGTH),
        native_offset,
        native_finish,
        False,
    ),
    "tus patch": Way(
        tus_begin,
        lambda p: head(
            "PATCH",
            p,
            Upload_Offset="0",
            Content_Type="application/offset+octet-stream",
            **LENGTH,
            **TUS,
        ),
        native_offset,
        tus_finish,
        True,
    ),
}


def changes(server: Running) -> list[object]:
    """All that ever happened in the store."""
    events: list[object] = ask(server, "GET", "/api/v1/events?limit=1000").json()["items"]
    return events


def at_every_byte(size: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(size + 1)))


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_an_upload_goes_on_from_what_arrived(server: Running, name: str) -> None:
    way = WAYS[name]
    stem = f"cuts/{name.replace(' ', '-')}"
    # As long as any other here, so that every cut is at the same place of the request.
    size = len(way.request(way.begin(server, f"{stem}/size"))) + len(DATA)
    before = changes(server)

    def begun(count: int) -> tuple[int, str]:
        place = way.begin(server, f"{stem}/{count:04}")
        request = way.request(place) + DATA
        assert len(request) == size
        cut(server, request[:count])
        arrived = max(0, count - (size - len(DATA)))
        over = way.completes and arrived == len(DATA)
        if not over:
            # `Range` of OCI is the same for none and for one byte.
            told = {arrived} if way.offset is native_offset or arrived > 1 else {0}
            until(lambda: way.offset(server, place) in told)
        return arrived, place

    with ThreadPoolExecutor(CLIENTS) as pool:
        places = list(pool.map(begun, range(size + 1)))
    if not way.completes:
        assert changes(server) == before, "a cut upload made something happen"

    def resumed(arrived: int, place: str) -> None:
        if way.completes and arrived == len(DATA):
            # All was sent, only the answer is not known: it may be done (404), at work, or to be done again.
            until(lambda: way.finish(server, place, arrived) in (201, 204, 404))
            return
        assert way.finish(server, place, arrived) in (201, 204)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda both: resumed(*both), places))
    if way.begin is oci_begin:
        for count in range(size + 1):
            answer = ask(server, "GET", f"/v2/{stem}/{count:04}/blobs/{DIGEST}")
            assert (answer.status, answer.body) == (200, DATA), count


@pytest.mark.slow
def test_a_blob_in_one_post_is_there_whole_or_not_at_all(server: Running) -> None:
    def request(count: int) -> tuple[str, bytes]:
        repository = f"cuts/post/{count:04}"
        return repository, head("POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", **LENGTH) + DATA

    size = len(request(0)[1])

    def work(count: int) -> None:
        repository, whole = request(count)
        cut(server, whole[:count])
        if count < size:
            assert ask(server, "GET", f"/v2/{repository}/blobs/{DIGEST}").status == 404
        again = ask(server, "POST", f"/v2/{repository}/blobs/uploads/?digest={DIGEST}", DATA)
        assert again.status == 201

    at_every_byte(size, work)


@pytest.mark.slow
def test_a_cut_post_leaves_no_bytes_behind(server: Running) -> None:
    staging = Path(server.log.parent, "data", "staging")

    def staged() -> set[Path]:
        return {path for path in staging.rglob("*") if path.is_file()}

    before = staged()
    sent = head("POST", f"/v2/cuts/left/blobs/uploads/?digest={DIGEST}", **LENGTH) + DATA[:30]
    for _ in range(10):
        cut(server, sent)
    until(lambda: staged() <= before)


@pytest.mark.slow
def test_a_file_of_a_draft_is_there_whole_or_not_at_all(server: Running) -> None:
    def target(count: int) -> str:
        return f"/api/v1/packages/cuts/draft/{count:04}:v1"

    def request(count: int) -> bytes:
        return head("PUT", f"{target(count)}/files/a.bin", **LENGTH) + DATA

    size = len(request(0))

    def work(count: int) -> None:
        cut(server, request(count)[:count])
        draft = ask(server, "GET", f"{target(count)}/draft")
        if draft.status != 404:
            sizes = [file["size"] for file in draft.json()["files"]]
            assert sizes == [] or (count == size and sizes == [len(DATA)])
        assert ask(server, "PUT", f"{target(count)}/files/a.bin", DATA).status == 201
        assert ask(server, "GET", target(count)).status == 404
        assert ask(server, "POST", f"{target(count)}/finalize").status == 201
        assert ask(server, "GET", f"{target(count)}/files/a.bin").body == DATA

    at_every_byte(size, work)
