"""Killed, interrupted and cut off, transfers go on where they stopped."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.contract.names import Repository
from tests.cli.conftest import Runner, content
from tests.cli.proxy import Proxy

_MIB = 1024 * 1024
_SIZE = 8 * _MIB
_RATE = 16 * _MIB


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with one large file, whose content no other test has pushed."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "large.bin").write_bytes(random.randbytes(_SIZE))
    return folder


def _budgets(seed: int) -> Iterator[int]:
    chance = random.Random(seed)
    while True:
        yield chance.randrange(500, 2 * _MIB)


@pytest.mark.parametrize("form", ["--oci", "--native"])
async def test_a_push_that_was_killed_goes_on_with_the_next_run(
    cli: Runner, server: str, repository: Repository, large: Path, form: str
) -> None:
    host, port = server.split(":")
    async with Proxy(host, int(port), rate=_RATE) as proxy:
        process = await cli.start("push", f"{proxy.address}/{repository}:v1", large, form)
        await proxy.reached(up=_SIZE * 2 // 3)
        process.kill()
        assert (await cli.end(process)).code == -signal.SIGKILL
        proxy.rate, sent = None, proxy.up
        pushed = await cli("push", f"{proxy.address}/{repository}:v1", large, form, "--json")
        assert (pushed.code, pushed.document["files"][0]["sent"]) == (0, True)
        # What was on its way when the process died may be lost, the rest is not sent again.
        assert proxy.up - sent < _SIZE * 2 // 3
    assert not list((cli.state / "artifact-store" / "uploads").iterdir())


async def test_an_interrupted_push_says_how_to_go_on(
    cli: Runner, server: str, repository: Repository, large: Path
) -> None:
    host, port = server.split(":")
    async with Proxy(host, int(port), rate=_RATE) as proxy:
        process = await cli.start("push", f"{proxy.address}/{repository}:v1", large)
        await proxy.reached(up=_SIZE // 3)
        process.send_signal(signal.SIGINT)
        ended = await cli.end(process)
        assert ended.code == 130
        assert "same command goes on" in ended.err
        assert "Traceback" not in ended.err


async def test_a_pull_that_was_killed_goes_on_with_the_next_run(
    cli: Runner, server: str, repository: Repository, large: Path, tmp_path: Path
) -> None:
    await cli("push", f"{server}/{repository}:v1", large)
    host, port = server.split(":")
    out = tmp_path / "out"
    async with Proxy(host, int(port), rate=_RATE) as proxy:
        process = await cli.start("pull", f"{proxy.address}/{repository}:v1", "-o", out)
        await proxy.reached(down=_SIZE * 2 // 3)
        process.kill()
        await cli.end(process)
        assert not (out / "large.bin").exists()
        proxy.rate, fetched = None, proxy.down
        assert (await cli("pull", f"{proxy.address}/{repository}:v1", "-o", out)).code == 0
        assert proxy.down - fetched < _SIZE * 2 // 3
    assert content(out) == content(large)


async def test_what_a_killed_pull_left_is_not_trusted(
    cli: Runner, server: str, repository: Repository, large: Path, tmp_path: Path
) -> None:
    await cli("push", f"{server}/{repository}:v1", large)
    host, port = server.split(":")
    out = tmp_path / "out"
    async with Proxy(host, int(port), rate=_RATE) as proxy:
        process = await cli.start("pull", f"{proxy.address}/{repository}:v1", "-o", out)
        await proxy.reached(down=_SIZE // 2)
        process.kill()
        await cli.end(process)
    (part,) = out.iterdir()
    spoilt = bytearray(part.read_bytes())
    spoilt[1000] ^= 1
    part.write_bytes(spoilt)
    assert (await cli("pull", f"{server}/{repository}:v1", "-o", out)).code == 0
    assert content(out) == content(large)


@pytest.mark.parametrize("seed", [1, 2])
async def test_cut_off_anywhere_push_and_pull_end_well(
    cli: Runner, server: str, repository: Repository, large: Path, tmp_path: Path, seed: int
) -> None:
    host, port = server.split(":")
    async with Proxy(host, int(port), budgets=_budgets(seed)) as proxy:
        pushed = await cli("push", f"{proxy.address}/{repository}:v1", large)
        assert (pushed.code, pushed.err) == (0, "")
        assert proxy.cuts > 1
        cuts = proxy.cuts
        pulled = await cli("pull", f"{proxy.address}/{repository}:v1", "-o", tmp_path / "out")
        assert pulled.code == 0
        assert proxy.cuts > cuts
    assert content(tmp_path / "out") == content(large)
