"""kill -9 at a random moment of pushes, deletions, packing, collection and scrub: see kills.py.

As test_kills.py, with two workers that share a store.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import run_enough_cycles


@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    run_enough_cycles(tmp_path, workers=2)
