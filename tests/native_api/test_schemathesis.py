"""Schemathesis against the running server: whatever it sends, the answer is one the document promises."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from tests.native_api.world import ROOT, World

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_every_check_passes(world: World, tmp_path: Path) -> None:
    package = await world.put_package("app:v1", {"a": b"1"}, variant="x.v1", metadata={"n": 1})
    await world.put_package("app:note", {}, subject=package["manifest_digest"])
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        "--config-file",
        str(CONFIG),
        "run",
        f"{world.url}{ROOT}/openapi.json",
        "--checks=all",
        "--max-examples=3",
        "--seed=3",
        "--continue-on-failure",
        "--warnings=off",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
