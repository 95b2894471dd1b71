"""kill -9 at a random moment of pushes, deletions, packing, collection and scrub: see kills.py.

A server with one worker; test_kills_of_workers.py has two. Two files, since a file is one process's work.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import run_enough_cycles


@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    run_enough_cycles(tmp_path, workers=1)
