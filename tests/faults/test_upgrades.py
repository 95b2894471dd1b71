"""kill -9 while an old store is upgraded: the next start finishes it, and all that it held is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.upgrades import run_upgrades


@pytest.mark.timeout(600)
def test_killed_while_format_and_schema_are_upgraded(tmp_path: Path) -> None:
    assert run_upgrades(tmp_path, range(1, 7)) == 6
