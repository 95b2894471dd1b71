"""Followers that do not linger, so that a turn ends when there is nothing to do."""

from __future__ import annotations

import pytest

from registry.control.followers import runner


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of half a second are for servers."""
    monkeypatch.setattr(runner, "_LINGER", 0.0)
    monkeypatch.setattr(runner, "_PULSE", 0.01)
