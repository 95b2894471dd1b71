"""From what a driver raises to what the contract promises."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType

from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.claims import busy
from registry.dataplane.drivers.port import (
    Away,
    Busy,
    Corrupt,
    DriverError,
    Erased,
    Full,
    Locked,
    Missing,
    Moved,
    Refused,
    Transient,
)

#: Seconds after which a client may try again when the medium cannot now.
RETRY_AFTER = 5
#: The same for bytes that have to be restored, which takes from minutes to days.
_RESTORED_AFTER = 60


def offset_mismatch(length: int) -> StoreError:
    return StoreError(
        ErrorKind.OFFSET_MISMATCH,
        f"the upload holds {length} bytes; go on from there",
        detail={"offset": length},
    )


def absent() -> StoreError:
    return StoreError(ErrorKind.CONTENT_UNKNOWN, "this store does not hold that content")


def no_such_place(name: str, known: Iterable[str]) -> StoreError:
    return StoreError(
        ErrorKind.BAD_REQUEST, f"there is no location {name}; there are {', '.join(sorted(known))}"
    )


def store_error(error: DriverError) -> StoreError:
    """The one place where driver errors become `StoreError`s."""
    if isinstance(error, Missing | Corrupt | Erased | Away):
        return _unreadable(error)
    if isinstance(error, Refused | Busy):
        return _in_the_way(error)
    if isinstance(error, Moved):
        return offset_mismatch(error.length)
    if isinstance(error, Transient):
        return StoreError(
            ErrorKind.UNAVAILABLE,
            f"the storage cannot answer now; try again later ({error})",
            detail={"retry_after": RETRY_AFTER},
        )
    return _refusal(error)


def _refusal(error: DriverError) -> StoreError:
    if isinstance(error, Full):
        return StoreError(
            ErrorKind.STORAGE_FULL, f"the storage is full; free some space and try again ({error})"
        )
    if isinstance(error, Locked):
        return StoreError(ErrorKind.HELD, f"the storage keeps these bytes; nothing was deleted ({error})")
    return StoreError(ErrorKind.INTERNAL, f"the storage failed ({error})")


def _in_the_way(error: Refused | Busy) -> StoreError:
    if isinstance(error, Refused):
        return StoreError(ErrorKind.CONFLICT, f"nothing was deleted: {error}")
    return busy()


def _unreadable(error: Missing | Corrupt | Erased | Away) -> StoreError:
    if isinstance(error, Away):
        return StoreError(
            ErrorKind.RESTORE_REQUIRED,
            f"that content is not at hand: ask for its restore, then read again ({error})",
            detail={"retry_after": _RESTORED_AFTER},
        )
    if isinstance(error, Erased):
        return StoreError(ErrorKind.ERASED, f"that content was erased ({error})")
    if isinstance(error, Missing):
        return absent()
    return StoreError(
        ErrorKind.CONTENT_UNKNOWN, f"this store holds that content corrupt; push it again ({error})"
    )


class Translated:
    """`with Translated():` lets DriverErrors leave as StoreErrors and everything else as it is."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DriverError):
            raise store_error(error) from error
