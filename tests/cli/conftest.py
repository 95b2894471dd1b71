"""A server of our own for all tests, and a runner of commands with a home of its own for each."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from oci.client.registry import RegistryClient
from oci.client.transport import Transport, TransportSettings
from registry.contract.names import Repository

_PROGRAM = (sys.executable, "-m", "registry.server")


@dataclass(frozen=True)
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """stdout as the one JSON document that --json promises."""
        return json.loads(self.out)


class Runner:
    """Runs `artifact-store` in `home`, with state and credentials there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.docker = home / "docker"
        self.state = home / "state"

    async def start(self, *args: object) -> asyncio.subprocess.Process:
        """Start a command and leave it running."""
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "DOCKER_CONFIG": str(self.docker),
            "XDG_STATE_HOME": str(self.state),
            "PATH": f"{self.home}{os.pathsep}{os.environ['PATH']}",
        }
        return await asyncio.create_subprocess_exec(
            *_PROGRAM,
            *map(str, args),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )

    async def __call__(self, *args: object) -> Result:
        """Run a command to its end."""
        return await self.end(await self.start(*args))

    async def end(self, process: asyncio.subprocess.Process) -> Result:
        """Wait for the end of a command."""
        async with asyncio.timeout(90):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a running server."""
    data = tmp_path_factory.mktemp("data")
    process = subprocess.Popen(
        [*_PROGRAM, "serve", "--data", str(data), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as lines:
        line = lines.readline()
        assert line.startswith("listening on http://"), line
        yield line.removeprefix("listening on http://").strip()
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def cli(tmp_path: Path) -> Runner:
    """A runner whose home is this test's."""
    home = tmp_path / "home"
    home.mkdir()
    return Runner(home)


@pytest.fixture
def repository() -> Repository:
    """A repository that no other test knows."""
    return Repository(f"cli/{random.randbytes(8).hex()}")


@pytest.fixture
async def registry(server: str) -> AsyncIterator[RegistryClient]:
    """A client of the server, to prepare and to look."""
    async with Transport(server, TransportSettings()) as transport:
        yield RegistryClient(transport)


@pytest.fixture
async def peer() -> AsyncIterator[str]:
    """`host:port` of a server that has nothing and no native API."""

    async def nothing(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    runner = web.ServerRunner(web.Server(nothing))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few files, one of them large enough for several requests and one in a folder below."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("hello\n")
    (folder / "empty").write_bytes(b"")
    (folder / "sub" / "large.bin").write_bytes(random.Random(1).randbytes(3 * 1024 * 1024))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
