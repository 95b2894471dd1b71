"""What went wrong with a database, in the contract's words.

Told by the engine's own codes, not by its prose. Passing troubles are UNAVAILABLE; a statement that the
engine does not understand, or rows that break a constraint, are our own fault and INTERNAL, so that nobody
tries for ever. Sources: SQLite, "Result and Error Codes"; PostgreSQL, appendix A.
"""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from registry.contract.errors import ErrorKind, StoreError

#: Extended code: no room for the shared memory file beside the write-ahead log.
_SHM_SIZE = sqlite3.SQLITE_IOERR_SHMSIZE
_PASSING_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_DAMAGED_SQLITE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

#: Connection, resources, rolled back for others' sake, shut down by an operator, lock not available, idle for
#: too long in a transaction, read-only as a standby is and a primary while it is taken over, trouble of the
#: system below.
_PASSING_POSTGRESQL = ("08", "40", "53", "57", "55P03", "25P03", "25P04", "25006", "58")
#: Those after which another connection may do what this one does not. The server tells of them before it
#: closes the connection, if it does.
_ENDING_POSTGRESQL = ("08", "57P", "25P03", "25P04", "25006")
_DISK_FULL = "53100"

#: What an administrator has to mend, and the server says in so many words.
_REFUSALS = (
    (
        "28",
        "the database server refuses this user or password: see database.url and the server's pg_hba.conf",
    ),
    ("3D000", "the database server has no database of that name: create it, or correct database.url"),
    ("42501", "the database's user lacks a right there: let it own the database, or the schema public"),
)
#: Of the driver, before it asks the server anything.
_MISCONFIGURED = "ClientConfigurationError"
_DAMAGED_POSTGRESQL = ("XX001", "XX002")


def translate(error: BaseException) -> StoreError:
    """A foreign exception as the StoreError it means, never one of absence; a StoreError as it is."""
    if isinstance(error, StoreError):
        return error
    kind = _kind(error)
    if kind is ErrorKind.STORAGE_FULL:
        return StoreError(kind, "the database's disk is full: nothing was changed")
    if kind is ErrorKind.UNAVAILABLE:
        return StoreError(kind, "the database does not answer; try again", detail={"retry_after": 1})
    return StoreError(kind, _sentence(error))


def _sentence(error: BaseException) -> str:
    """About what does not go by itself."""
    if _is_damaged(_raw(error)):
        return "the database is damaged: restore it from a backup"
    cause = _cause(error)
    if type(cause).__name__ == _MISCONFIGURED:
        return f"the database's URL cannot be used: {str(cause).splitlines()[0]}"
    state = _sqlstate(_raw(error)) or ""
    refusal = next((text for begin, text in _REFUSALS if state.startswith(begin)), None)
    return refusal or f"the database failed: {type(cause).__name__}"


def loses_transaction(error: BaseException) -> bool:
    """Whether the engine failed rather than one statement: nothing of the transaction can be kept."""
    return _is_foreign(error) and (_kind(error) is not ErrorKind.INTERNAL or _is_damaged(_raw(error)))


def lost_connection(error: BaseException) -> bool:
    """Whether PostgreSQL's connection is of no use any more, and another one may do what it did not."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    raw = _raw(error)
    state = _sqlstate(raw)
    if state is None:
        return "connection is closed" in str(raw) or _has_failed(raw)
    return state.startswith(_ENDING_POSTGRESQL)


def declared(error: Exception) -> Exception:
    """A database's exception translated, everything else as it is."""
    if not _is_foreign(error):
        return error
    translated = translate(error)
    translated.__cause__ = error
    return translated


def _is_foreign(error: BaseException) -> bool:
    """Whether it comes from the database: from SQLAlchemy, SQLite or the PostgreSQL driver."""
    return isinstance(error, SQLAlchemyError | sqlite3.Error) or _sqlstate(error) != _NO_DRIVER


def _raw(error: BaseException) -> BaseException:
    original = error.orig if isinstance(error, DBAPIError) else None
    return original if original is not None else error


def _cause(error: BaseException) -> BaseException:
    """What the driver raised: SQLAlchemy puts one class of its own before all of asyncpg's."""
    raw = _raw(error)
    return raw.__cause__ if _sqlstate(raw) != _NO_DRIVER and raw.__cause__ is not None else raw


def _kind(error: BaseException) -> ErrorKind:
    raw = _raw(error)
    if isinstance(raw, sqlite3.Error):
        return _kind_sqlite(raw)
    state = _sqlstate(raw)
    if state != _NO_DRIVER:
        return _kind_postgresql(raw, state)
    if isinstance(raw, OSError):
        full = raw.errno in {errno.ENOSPC, errno.EDQUOT}
        return ErrorKind.STORAGE_FULL if full else ErrorKind.UNAVAILABLE
    return ErrorKind.UNAVAILABLE if isinstance(raw, PoolTimeoutError) else ErrorKind.INTERNAL


def _kind_sqlite(error: sqlite3.Error) -> ErrorKind:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code & 0xFF == sqlite3.SQLITE_FULL or code == _SHM_SIZE:
        return ErrorKind.STORAGE_FULL
    return ErrorKind.UNAVAILABLE if code & 0xFF in _PASSING_SQLITE else ErrorKind.INTERNAL


def _kind_postgresql(error: BaseException, state: str | None) -> ErrorKind:
    if state == _DISK_FULL:
        return ErrorKind.STORAGE_FULL
    if state is None:  # from the driver itself: a connection that is gone, or arguments it cannot encode
        gone = "connection" in str(error).lower() or _has_failed(error)
        return ErrorKind.UNAVAILABLE if gone else ErrorKind.INTERNAL
    return ErrorKind.UNAVAILABLE if state.startswith(_PASSING_POSTGRESQL) else ErrorKind.INTERNAL


def _has_failed(error: BaseException) -> bool:
    """Whether the driver lost track of the connection, and refuses whatever comes: it was told of its end
    while nobody waited for an answer, as happens to who was stopped in a transaction."""
    return type(error).__name__ == "InternalClientError"


_NO_DRIVER = "none"


def _sqlstate(error: BaseException) -> str | None:
    """The five characters PostgreSQL gave, None when its driver failed by itself, `_NO_DRIVER` for others."""
    module = type(error).__module__
    if module.startswith("asyncpg") or module == "sqlalchemy.dialects.postgresql.asyncpg":
        state: str | None = getattr(error, "sqlstate", None)
        return state
    return _NO_DRIVER


def _is_damaged(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED_SQLITE
    return _sqlstate(error) in _DAMAGED_POSTGRESQL
