"""What HEAD says of an object that may have to be restored."""

from __future__ import annotations

import pytest

from registry.contract.dataplane import RestoreStatus
from registry.dataplane.drivers.port import Standing
from registry.dataplane.drivers.s3.standing import standing_of

HERE, AWAY = Standing(RestoreStatus.AVAILABLE), Standing(None)
DATE = "Fri, 21 Dec 2012 00:00:00 GMT"
UNTIL = 1_356_048_000_000_000


@pytest.mark.parametrize(
    ("storage_class", "restore", "expected"),
    [
        (None, None, HERE),
        ("STANDARD_IA", None, HERE),
        ("GLACIER_IR", None, HERE),
        ("GLACIER", None, AWAY),
        ("DEEP_ARCHIVE", None, AWAY),
        ("GLACIER", 'ongoing-request="true"', Standing(RestoreStatus.ONGOING)),
        (
            "GLACIER",
            f'ongoing-request="false", expiry-date="{DATE}"',
            Standing(RestoreStatus.AVAILABLE, UNTIL),
        ),
        (
            "GLACIER",
            f'expiry-date="{DATE}", ongoing-request="false"',
            Standing(RestoreStatus.AVAILABLE, UNTIL),
        ),
        ("GLACIER", 'ongoing-request="false"', HERE),
        ("GLACIER", 'ongoing-request="false", expiry-date="soon"', HERE),
        ("GLACIER", "who knows", AWAY),
    ],
)
def test_class_and_restore_say_whether_it_is_at_hand(
    storage_class: str | None, restore: str | None, expected: Standing
) -> None:
    assert standing_of(storage_class, restore) == expected
