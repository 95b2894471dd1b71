"""What all tests share."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """`make check` leaves the slow ones to `make test`."""
    config.addinivalue_line("markers", "slow: takes many seconds or much disk; `make test` runs it")
