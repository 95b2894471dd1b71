"""URLs to sinks: which library, which servers, and a plugin of the same shape."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from registry.contract.errors import StoreError
from registry.sinks.opening import find_plugin, nats_servers, shown

PLUGIN = """
from registry.contract.delivery import Delivery

class Sink:
    window = 10
    def __init__(self, url): self.url = url
    async def deliver(self, events): return Delivery(len(events))
    async def check(self): return "there"
    async def close(self): pass
"""


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://one", ("nats://one",)),
        ("nats+tls://one:4222/", ("tls://one:4222",)),
        ("NATS://me:word@one:1,two:2", ("nats://me:word@one:1", "nats://me:word@two:2")),
        ("nats://token@one,you:it@two", ("nats://token@one", "nats://you:it@two")),
        ("nats://", ()),
    ],
)
def test_servers_of_a_url(url: str, servers: tuple[str, ...]) -> None:
    assert nats_servers(url) == servers


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("nats+tls://me:word@one:1,me:word@two:2", "nats+tls://one:1,two:2"),
        ("https://user:word@host:8443/path/secret?token=x", "https://host:8443"),
        ("https://host?token=x", "https://host"),
        ("kafka://one:9092/topic", "kafka://one:9092"),
    ],
)
def test_what_is_shown_of_a_url_is_no_secret(url: str, text: str) -> None:
    assert shown(url) == text


async def test_a_plugin_is_found_by_its_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sink = find_plugin("shoebox://under/the-bed")("shoebox://under/the-bed")
    assert await sink.check() == "there"
    sys.modules.pop("shoebox", None)


def test_a_scheme_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(StoreError, match=r"shoebox:// .*artifact_store\.sinks"):
        find_plugin("shoebox://under/the-bed")


def install(folder: Path) -> None:
    """As pip leaves a package."""
    (folder / "shoebox.py").write_text(PLUGIN)
    info = folder / "shoebox-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shoebox\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[artifact_store.sinks]\nshoebox = shoebox:Sink\n")
