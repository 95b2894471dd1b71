"""Receivers, started for a test and gone after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.sinks.nats_server import NatsServer
from tests.sinks.receiver import Receiver, receiving


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server that runs."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """An endpoint for webhooks."""
    async with receiving() as opened:
        yield opened
