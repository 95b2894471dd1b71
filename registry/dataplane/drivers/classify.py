"""What a foreign exception means: Transient, Permanent or Full, and never Missing.

ENOENT is not in the table on purpose: only a driver that has looked twice knows that nothing is there.
"""

from __future__ import annotations

import errno
import os

from registry.dataplane.drivers.port import DriverError, Full, Permanent, Transient

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

#: Errors that go by themselves or with the operator's help while the server runs on. EIO is one: a sick disk
#: is answered by "not now" and not by "your request is wrong".
_TRANSIENT = frozenset(
    {
        errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EBUSY, errno.EINTR,
        errno.ENOBUFS, errno.ESTALE, errno.ETIMEDOUT, errno.ENOLCK, errno.EHOSTDOWN, errno.EHOSTUNREACH,
        errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE,
    }
)  # fmt: skip


def classify(operation: str, error: Exception) -> DriverError:
    """The driver error for `error`, raised inside `operation` (a method name of the port)."""
    if isinstance(error, DriverError):
        return error
    if isinstance(error, MemoryError):
        return Transient(f"{operation}: out of memory")
    if not isinstance(error, OSError) or error.errno is None:
        return Permanent(f"{operation}: {type(error).__name__}: {error}")
    text = f"{operation}: {os.strerror(error.errno)} ({errno.errorcode.get(error.errno, error.errno)})"
    if error.errno in _FULL:
        return Full(text)
    return Transient(text) if error.errno in _TRANSIENT else Permanent(text)
