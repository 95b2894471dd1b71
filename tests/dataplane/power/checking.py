"""A store found after a power loss, held against what was said before it."""

from __future__ import annotations

from pathlib import Path

from registry.contract.dataplane import DEFAULT_DOMAIN, Packing, Stage
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.engine import Engine
from registry.dataplane.packs.recovery import Recovered
from tests.dataplane.packed import dump, pack_files, rebuild
from tests.dataplane.power.expected import Expected, Held
from tests.dataplane.power.story import address
from tests.dataplane.support import all_stages, content_of, read_all
from tests.dataplane.test_recovery import booted


async def check(root: Path, expected: Expected) -> None:
    """Open the store with no help, look at everything, make the index anew, and use the store."""
    async with booted(root, "after") as (store, _):
        held = await _check_contents(store, expected)
        await _check_stages(store, expected)
    found = _index(root)
    rebuild(root)
    differing = sorted(_index(root) ^ found)
    assert not differing, f"the index made anew says something else: {differing}"
    async with booted(root, "and again") as (store, recovered):
        assert recovered == Recovered(), "one opening was not enough"
        assert await _check_contents(store, expected) >= held
        await _go_on(store, expected)
    left = dump(root)
    assert [row for row in left["chunks"] if row[-1]] == [], "chunks that nothing can free"
    assert [row for row in left["packs"] if row[-1]] == [], "bytes that nothing can free"


def _index(root: Path) -> set[str]:
    """What the index says; packs that it does not know are strays."""
    found = dump(root)
    assert {path.stem for path in pack_files(root)} == {row[0].lower() for row in found["packs"]}, (
        "stray packs"
    )
    # Where a rewrite was cut off, records lie in two packs: places, and how often they name a chunk, differ.
    used = [(*row[:2], "held" if row[2] else "lost") for row in found["chunks"] if row[-1]]
    return {
        repr(row)
        for row in (*(row[:3] for row in found["packs"]), *(row[:2] for row in found["objects"]), *used)
    }


async def _check_contents(store: Engine, expected: Expected) -> set[str]:
    known = {address(data).hex: data for data in expected.contents}
    held = {found.hex async for _, found, _ in store.contents()}
    assert held <= known.keys(), "content that nobody put"
    for name, data in known.items():
        state = expected.contents[data]
        if name not in held:
            assert state in (Held.NO, Held.EITHER, Held.SPOILT), f"lost: {name}"
            await _is_absent(store, data)
            continue
        fault = (await store.verify(DEFAULT_DOMAIN, address(data))).fault
        if state is Held.SPOILT and fault is not None:
            continue
        assert state is not Held.NO, f"back again: {name}"
        assert fault is None, f"{name}: {fault}"
        assert await read_all(store, content_of(data)) == data
    return held


async def _is_absent(store: Engine, data: bytes) -> None:
    try:
        await store.size(DEFAULT_DOMAIN, address(data))
    except StoreError as error:
        assert error.kind is ErrorKind.CONTENT_UNKNOWN, error
    else:
        raise AssertionError("it is not listed and yet there")


async def _check_stages(store: Engine, expected: Expected) -> None:
    """A stage holds the beginning of what was sent, and can become content of just these bytes."""
    for name, offset in await all_stages(store):
        if name not in expected.stages:
            assert offset == 0 or name not in expected.stages  # a put's own; see `_put` of the local driver
            continue
        sent = expected.stages[name]
        assert offset <= len(sent)
        content = await store.commit(Stage(DEFAULT_DOMAIN, name), None)
        assert content == content_of(sent[:offset]), "a stage holds bytes that nobody sent"
        expected.contents[sent[:offset]] = Held.YES


async def _go_on(store: Engine, expected: Expected) -> None:
    """A push heals and completes everything; packing, rewriting and removing go on."""
    for data, state in expected.contents.items():
        if state is Held.SPOILT:
            await store.quarantine(DEFAULT_DOMAIN, address(data))
        assert await store.put(DEFAULT_DOMAIN, data) == content_of(data)
    assert [step.fault async for step in store.pack(Packing()) if step.fault] == []
    async for _ in store.rewrite(0.0, 0):
        pass
    for data in expected.contents:
        assert await read_all(store, content_of(data)) == data
        await store.remove(DEFAULT_DOMAIN, address(data))
    assert [found async for found in store.contents()] == []
