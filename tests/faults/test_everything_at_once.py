"""Push, pull, delete, gc, scrub, pack and fsck at once for a minute: see everything.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.everything import run_everything

SECONDS = 60
#: What one worker may hold at its peak.
LIMIT = 250 * 2**20


@pytest.mark.timeout(600)
def test_everything_at_once(tmp_path: Path) -> None:
    done = run_everything(tmp_path, SECONDS, seed=1)
    assert done.errors == []
    assert done.peak_rss < LIMIT
    assert min(done.pushed, done.deleted, done.pulled, done.reachable) > 50
    assert min(done.packs, done.collections, done.checks) > 0
