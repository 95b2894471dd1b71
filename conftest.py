"""What all tests share: the marker `slow`, and that CI skips nothing."""

import os
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """`make check` leaves the slow ones to `make test`."""
    config.addinivalue_line("markers", "slow: takes many seconds or much disk; `make test` runs it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With REQUIRE=all a skip is a failure, but for what says `(optional)` in its reason.

    A machine that runs every test must not pass because something it needs went missing.
    """
    report = yield
    if report.skipped and os.environ.get("REQUIRE") == "all" and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if "(optional)" not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped although REQUIRE=all: {reason}"
    return report
