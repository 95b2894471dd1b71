"""Clients that read manifests at a steady pace, and how long each answer took."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

#: Requests a second of all connections together: a load, but no test of how much can be served.
_RATE = 200
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Latencies:
    """Of answered requests, in milliseconds."""

    requests: int
    p50: float
    p99: float
    longest: float


def summarise(seconds: Sequence[float]) -> Latencies:
    """Raises ValueError when there is none."""
    ordered = sorted(seconds)
    if not ordered:
        raise ValueError("nothing was read")

    def at(part: float) -> float:
        return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000, 2)

    return Latencies(len(ordered), at(0.5), at(0.99), at(1.0))


async def beside(port: int, target: Callable[[], str], work: Awaitable[T]) -> tuple[T, Latencies]:
    """Do `work` while manifests are read. `target` gives the path of each request.

    Raises ConnectionError when an answer is not 200.
    """
    ended = asyncio.Event()
    readers = [asyncio.create_task(_read(port, target, number, ended)) for number in range(_CONNECTIONS)]
    try:
        outcome = await work
    finally:
        ended.set()
        taken = await asyncio.gather(*readers)
    return outcome, summarise([seconds for each in taken for seconds in each])


async def _read(port: int, target: Callable[[], str], number: int, ended: asyncio.Event) -> list[float]:
    """One connection. A request that comes late because the one before took long counts from its time."""
    pause = _CONNECTIONS / _RATE
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter() + pause * number / _CONNECTIONS
    taken = []
    try:
        while not ended.is_set():
            late = due - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            begun = time.perf_counter() if late > 0 else due
            writer.write(f"GET {target()} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode())
            await _answer(reader)
            taken.append(time.perf_counter() - begun)
            due += pause
    finally:
        writer.close()
    return taken


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if line)
    await reader.readexactly(int(fields["content-length"]))
    if " 200 " not in f"{status} ":
        raise ConnectionError(f"a manifest was answered with {status}")


def any_of(paths: Callable[[int], str], count: int, seed: int = 1) -> Callable[[], str]:
    """Paths by number, by chance and the same each time."""
    chance = random.Random(seed)
    return lambda: paths(chance.randrange(count))
