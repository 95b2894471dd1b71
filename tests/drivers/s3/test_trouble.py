"""What answers of a service mean."""

from __future__ import annotations

import pytest

from registry.dataplane.drivers.port import Full, Missing, Permanent, Transient
from registry.dataplane.drivers.s3.trouble import (
    ConditionError,
    EmptyRangeError,
    NotThereError,
    UnsupportedError,
    UploadGoneError,
    judge,
)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NotThereError),
        (404, "404", NotThereError),
        (404, "NoSuchBucket", Permanent),
        (404, "NoSuchUpload", UploadGoneError),
        (412, "PreconditionFailed", ConditionError),
        (409, "ConditionalRequestConflict", Transient),
        (416, "InvalidRange", EmptyRangeError),
        (501, "NotImplemented", UnsupportedError),
        (503, "SlowDown", Transient),
        (500, "InternalError", Transient),
        (502, "502", Transient),
        (429, "TooManyRequests", Transient),
        (400, "RequestTimeout", Transient),
        (400, "BadDigest", Transient),
        (403, "AccessDenied", Permanent),
        (403, "QuotaExceeded", Full),
        (507, "InsufficientStorage", Full),
        (418, "Teapot", Permanent),
    ],
)
def test_a_meaning_for_every_answer(status: int, code: str, kind: type[Exception]) -> None:
    assert type(judge("PutObject", status, code)) is kind


@pytest.mark.parametrize("status", range(200, 600))
def test_no_status_alone_means_missing(status: int) -> None:
    """Missing is what only the driver says, when it has seen that the store itself is there."""
    for code in ("", str(status), "Unknown", "NotFound", "NoSuchKey"):
        assert not isinstance(judge("GetObject", status, code), Missing)


def test_what_helps_is_said() -> None:
    assert "clock" in str(judge("PutObject", 403, "RequestTimeTooSkewed"))
    assert "region" in str(judge("PutObject", 301, "PermanentRedirect"))
