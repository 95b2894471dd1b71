"""What all tests share: the marker `slow`, and that CI skips nothing."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent

#: Tests that start programs or search for long, by the beginning of their paths: not for `make check`.
_SLOW = (
    "tests/cli/test_followers",
    "tests/cli/test_interruptions",
    "tests/cli/test_packages",
    "tests/cli/test_push_pull",
    "tests/cli/test_stored",
    "tests/cli/test_tls",
    "tests/control/test_group_commit",
    "tests/control/test_histories",
    "tests/control/test_processes",
    "tests/dataplane/test_crash",
    "tests/dataplane/test_processes",
    "tests/faults/",
    "tests/native_api/test_schemathesis",
    "tests/replicas/",
    "tests/server/test_backup",
    "tests/server/test_doctor",
    "tests/server/test_event_stream",
    "tests/server/test_recovery",
    "tests/server/test_serve",
    "tests/server/test_storage",
    "tests/server/test_workers",
)


def pytest_configure(config: pytest.Config) -> None:
    """`make check` leaves the slow ones to `make test`."""
    config.addinivalue_line("markers", "slow: takes many seconds or much disk; `make test` runs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `_SLOW` names."""
    for item in items:
        if item.path.relative_to(_ROOT).as_posix().startswith(_SLOW):
            item.add_marker(pytest.mark.slow)


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
