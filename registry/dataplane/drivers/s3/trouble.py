"""What an answer of an object store means: absent, refused by a condition, or one of the port's errors.

A 404 is not yet `Missing`: a bucket that is gone and a proxy without a server behind it answer 404 too. Who
needs to be sure looks at the store's FORMAT object (driver.py).
"""

from __future__ import annotations

from registry.dataplane.drivers.port import Away, DriverError, Full, Permanent, Transient


class NotThereError(Exception):
    """404 for a key: the bucket may hold nothing there."""


class UploadGoneError(Exception):
    """The multipart upload is not known: completed, aborted, or never begun."""


class ConditionError(Exception):
    """412: a condition of the request (If-None-Match, If-Match) does not hold."""


class UnsupportedError(Exception):
    """501: the service does not know what was asked for."""


class RestoringError(Exception):
    """409: a restore is under way already."""


class EmptyRangeError(Exception):
    """416: the object ends before the range begins."""


#: Codes that go by themselves. Servers spell some of them differently, and some send them with a 4xx.
_TRANSIENT = frozenset(
    {
        "SlowDown", "SlowDownRead", "SlowDownWrite", "ServerBusy", "Busy", "ServiceUnavailable",
        "InternalError", "InternalFailure", "RequestTimeout", "RequestTimeoutException", "Throttling",
        "ThrottlingException", "RequestThrottled", "RequestLimitExceeded", "TooManyRequests",
        "BandwidthLimitExceeded", "OperationAborted", "ConditionalRequestConflict", "BadDigest",
        "IncompleteBody", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch",
    }
)  # fmt: skip

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "StorageFull", "InsufficientStorage"})

_HELP = {
    "AccessDenied": "the credentials do not allow it",
    "AllAccessDisabled": "the bucket is disabled",
    "ExpiredToken": "the credentials have expired",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key, or the region, is not the right one",
    "NoSuchBucket": "the bucket does not exist",
    "PermanentRedirect": "the bucket is in another region, or needs another endpoint",
    "AuthorizationHeaderMalformed": "the region is not the bucket's",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "InvalidObjectState": "the object is archived and has to be restored first",
}


#: Answers that are no failures, by code and by status.
_CONDITIONS: tuple[tuple[type[Exception], frozenset[str], frozenset[int]], ...] = (
    (UploadGoneError, frozenset({"NoSuchUpload"}), frozenset()),
    (RestoringError, frozenset({"RestoreAlreadyInProgress"}), frozenset()),
    (ConditionError, frozenset({"PreconditionFailed"}), frozenset({412})),
    (UnsupportedError, frozenset({"NotImplemented"}), frozenset({501})),
    (EmptyRangeError, frozenset({"InvalidRange"}), frozenset({416})),
)


def judge(operation: str, status: int, code: str) -> Exception:
    """The exception for an error answer of `operation`, an API name such as `PutObject`."""
    if code == "InvalidObjectState" and operation == "GetObject":
        return Away("its storage class is one that has to be restored")
    for kind, codes, statuses in _CONDITIONS:
        if code in codes or status in statuses:
            return kind(f"{operation}: {code}")
    if code == "NoSuchKey" or (status == 404 and code in ("404", "NotFound", "NoSuchVersion")):
        return NotThereError(code)
    return _error(operation, status, code)


def _error(operation: str, status: int, code: str) -> DriverError:
    text = f"{operation}: {code} ({status})"
    if code in _FULL or status == 507:
        return Full(text)
    if code in _TRANSIENT or status in (408, 429) or status >= 500:
        return Transient(text)
    return Permanent(f"{text}: {_HELP[code]}" if code in _HELP else text)
