"""Power fails between any two changes of the disk: what was acknowledged is there, and no hand is needed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dataplane.power.story import STORIES
from tests.dataplane.power.trying import Tried, try_story

pytestmark = pytest.mark.slow

#: States tried of each story; `make soak` tries every moment, and more than one state of each.
STATES = {"everyday": 240, "uploads": 120, "damage": 120, "upgrade": 90}
SEED = 1


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder of a memory file system where there is one: thousands of small stores need no slow disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", STORIES)
async def test_power_fails_at_any_moment(memory: Path, name: str) -> None:
    tried = await try_story(name, memory, seed=SEED, states=STATES[name])
    assert tried == Tried(tried.changes, STATES[name])
    assert tried.changes > 25


@pytest.mark.parametrize("name", ["everyday", "uploads", "damage"])
async def test_power_fails_under_a_sealed_store(memory: Path, name: str) -> None:
    tried = await try_story(name, memory, seed=SEED, states=STATES[name] // 2, sealed=True)
    assert tried == Tried(tried.changes, STATES[name] // 2)


async def test_a_lost_sync_would_be_noticed(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a store that forgets to sync its log: these tests can fail."""
    from registry.dataplane.packs.writer import PackWriter

    monkeypatch.setattr(PackWriter, "sync", PackWriter.flush)
    with pytest.raises(AssertionError, match="lost"):
        await try_story("everyday", memory, seed=SEED, states=0)
    shutil.rmtree(memory / "crashed")
