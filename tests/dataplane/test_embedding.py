"""The data plane as a library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane import DataPlaneSettings, open_local, open_memory
from tests.dataplane.support import all_stages, body, content_of, new_stage, read_all


def test_importing_it_loads_no_server_and_no_database() -> None:
    code = (
        "import sys, registry.dataplane\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'aiohttp', 'sqlalchemy', 'uvloop', 'aiobotocore'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_store_is_there_when_opened_again(tmp_path: Path) -> None:
    first = open_local(tmp_path / "new" / "store")
    stage = new_stage()
    await first.append(stage, 0, body(b"half"))
    content = await first.put(DEFAULT_DOMAIN, b"whole")
    await first.close()
    again = open_local(tmp_path / "new" / "store")
    assert await read_all(again, content) == b"whole"
    assert await all_stages(again) == [(stage.id, 4)]
    await again.append(stage, 4, body(b" and half"))
    assert await again.commit(stage, None) == content_of(b"half and half")
    await again.close()


async def test_two_stores_in_one_process(tmp_path: Path) -> None:
    one, two = open_local(tmp_path / "one"), open_memory(settings=DataPlaneSettings(threads=1))
    content = await one.put(DEFAULT_DOMAIN, b"x")
    with pytest.raises(StoreError) as absent:
        await two.size(DEFAULT_DOMAIN, content.blake3)
    assert absent.value.kind is ErrorKind.CONTENT_UNKNOWN
    await one.close()
    await two.close()


@pytest.mark.parametrize("kind", ["local", "memory"])
async def test_after_close_nothing_is_changed(tmp_path: Path, kind: str) -> None:
    store = open_local(tmp_path) if kind == "local" else open_memory()
    await store.close()
    await store.close()
    for work in (
        store.put(DEFAULT_DOMAIN, b"x"),
        store.append(new_stage(), 0, body(b"x")),
        store.commit(new_stage(), None),
    ):
        with pytest.raises(StoreError, match="closed") as refused:
            await work
        assert refused.value.kind is ErrorKind.UNAVAILABLE
