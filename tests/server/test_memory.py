"""Memory is bounded, whatever passes through: one large blob both ways, and 64 uploads at once."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.server.program import Running, serving

MIB = 2**20

#: Size of the large blob in MiB. 256 shows a leak as well as 4096 does, which is for a run by hand.
BIG_MIB = int(os.environ.get("BIG_MIB", "256"))

#: What the server may hold at its peak, whatever it is asked.
LIMIT = 250 * MIB

pytestmark = pytest.mark.slow


def peak(server: Running) -> int:
    """The most memory the server has ever held, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def piece(number: int) -> bytes:
    """One MiB that no other piece equals, cheap to make again."""
    return number.to_bytes(8, "big") * (MIB // 8)


class Body:
    """Pieces `first` to `last`, hashed as they go out."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.sha256 = hashlib.sha256()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number in range(self.first, self.last):
            part = piece(number)
            self.sha256.update(part)
            yield part
            await asyncio.sleep(0)


def digest_of(first: int, last: int) -> str:
    sha256 = hashlib.sha256()
    for number in range(first, last):
        sha256.update(piece(number))
    return f"sha256:{sha256.hexdigest()}"


async def push(client: httpx.AsyncClient, repository: str, first: int, last: int, *, sized: bool) -> str:
    """A blob by POST, PATCH and PUT; `sized` says its length beforehand. Its digest."""
    location = (await client.post(f"/v2/{repository}/blobs/uploads/")).headers["Location"]
    body = Body(first, last)
    headers = {"Content-Type": "application/octet-stream"}
    if sized:
        headers["Content-Length"] = str((last - first) * MIB)
    answer = await client.patch(location, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    digest = f"sha256:{body.sha256.hexdigest()}"
    answer = await client.put(answer.headers["Location"], params={"digest": digest})
    assert answer.status_code == 201, answer.text
    return digest


async def pull(client: httpx.AsyncClient, repository: str, digest: str) -> str:
    """The digest of what comes back."""
    sha256 = hashlib.sha256()
    async with client.stream("GET", f"/v2/{repository}/blobs/{digest}") as answer:
        assert answer.status_code == 200
        async for part in answer.aiter_raw():
            sha256.update(part)
    return f"sha256:{sha256.hexdigest()}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sized", [True, False], ids=["content-length", "chunked"])
async def test_one_large_blob_both_ways(tmp_path: Path, sized: bool) -> None:
    with serving(tmp_path) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=600) as client:
            digest = await push(client, "big", 0, BIG_MIB, sized=sized)
            assert await pull(client, "big", digest) == digest
        assert peak(server) < LIMIT, f"{peak(server) / MIB:.0f} MiB"
        assert server.stop() == 0


@pytest.mark.timeout(600)
async def test_64_uploads_at_once(tmp_path: Path) -> None:
    each = 8
    with serving(tmp_path) as server:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(
            base_url=server.url, trust_env=False, timeout=300, limits=limits
        ) as client:
            digests = await asyncio.gather(
                *(
                    push(client, f"many/{number}", number * each, (number + 1) * each, sized=True)
                    for number in range(64)
                )
            )
            assert digests[5] == digest_of(5 * each, 6 * each)
            assert await asyncio.gather(
                *(pull(client, f"many/{number}", digest) for number, digest in enumerate(digests))
            ) == list(digests)
        assert peak(server) < LIMIT, f"{peak(server) / MIB:.0f} MiB"
        assert server.stop() == 0
