"""kill -9 at a random moment of pushes, deletions, packing, collection and scrub: see kills.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import run_cycles

#: Kills of a server with one worker, and of one with two; `make soak` does ten times as many.
CYCLES = 15


@pytest.mark.timeout(900)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_acknowledged_survives_kills(tmp_path: Path, workers: int) -> None:
    killed = run_cycles(tmp_path, range(1, CYCLES + 1), workers)
    assert killed.cycles == CYCLES
    assert killed.acknowledged > 10 * CYCLES
    assert killed.in_flight > CYCLES
    assert killed.deleted > 0
    assert killed.collected > 0
