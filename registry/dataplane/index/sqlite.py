"""The index in a SQLite file: for embedded stores and all worker processes of one machine.

WAL with `synchronous=NORMAL`: whatever happens the file is consistent, and a power loss takes back the last
changes at most, which packs/recovery.py then finds in the packs. No commit waits for the disk but the
checkpoints' (why not OFF: decision 35). Changes queue on a lock file: SQLite's own waiting backs off for
hundreds of milliseconds.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import DriverError, Full, Permanent, Transient
from registry.dataplane.index.locks import LockFile
from registry.dataplane.index.port import ListedObject, PackRow, PackState, Place
from registry.dataplane.index.schema import SCHEMA, VERSION
from registry.dataplane.packs.records import Grave, Kind
from registry.dataplane.paths import PackKey

_TRANSIENT = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
     sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL}
)  # fmt: skip
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
#: Pages of WAL (4 KiB each) after which a commit moves them to the file. Addresses are random, so that each
#: put changes a page of its own: the longer the WAL, the more changes of one page are moved at once. Measured
#: with 64 writers of 1 KiB blobs: 2000 pages 2,000/s and p99 170 ms, 16,000 pages 5,000/s and 50 ms.
_CHECKPOINT = 16_000
#: Bytes of pages that the writing connection keeps.
_CACHE = 16 << 20
#: Seconds that a statement waits for another process's checkpoint or recovery.
_BUSY = 10.0

_PLACE = "p.uuid, p.domain, {0}.offset, {0}.stored, {0}.raw, {0}.kind"
_DOMAIN = "(SELECT id FROM domains WHERE name = ?)"
_PACK = "(SELECT id FROM packs WHERE uuid = ?)"


class Note(NamedTuple):
    """What the index says of itself: the boot in which it was last open, whether it was closed as it should
    be, and the session (packs/session.py) that it belongs to."""

    boot: str
    clean: bool
    session: str


class Damaged(Exception):  # noqa: N818 - a finding
    """The file is not an index, or a torn one: throw it away and make it again from the packs."""


@contextmanager
def _classified() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _driver_error(error) from error


def _driver_error(error: sqlite3.Error) -> DriverError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Full(f"content index: {error}")
    if code in _TRANSIENT:
        return Transient(f"content index: {error}")
    if code in _DAMAGED:
        return Permanent(f"the content index is damaged ({error}); stop the store and rebuild its index")
    return Permanent(f"content index: {error}")


class _Queries:
    """The port's look-ups on one connection."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock | threading.RLock) -> None:
        self._connection = connection
        self._lock = lock

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, _classified():
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        self._connection.close()

    def find(self, domain: DomainId, address: bytes) -> Place | None:
        rows = self._all(_FIND + " LIMIT 1", domain, address)
        return _place(rows[0]) if rows else None

    def places(self, domain: DomainId, address: bytes) -> list[Place]:
        return [_place(row) for row in self._all(_FIND, domain, address)]

    def chunk(self, domain: DomainId, digest: bytes) -> Place | None:
        rows = self._all(_CHUNK, domain, digest)
        return _place(rows[0]) if rows else None

    def objects(
        self, domain: DomainId | None, after: tuple[DomainId, bytes] | None, limit: int
    ) -> list[ListedObject]:
        names = [row[0] for row in self._all("SELECT name FROM domains ORDER BY name")]
        found: list[ListedObject] = []
        for name in names:
            if domain not in (None, name) or (after is not None and name < after[0]):
                continue
            start = after[1] if after is not None and after[0] == name else b""
            rows = self._all(_OBJECTS, name, start, limit - len(found))
            found += [ListedObject(DomainId(name), address, raw) for address, raw in rows]
            if len(found) == limit:
                break
        return found

    def packs(self, *states: PackState) -> list[PackRow]:
        chosen = f" WHERE state IN ({', '.join(str(int(state)) for state in states)})" if states else ""
        if states and PackState.CLOSED not in states:
            chosen += f" AND {_AT_WORK}"  # in the words of the index of those few, which SQLite compares
        return [_pack_row(row) for row in self._all(f"{_PACKS}{chosen}")]

    def pack(self, key: PackKey) -> PackRow | None:
        rows = self._all(f"{_PACKS} WHERE uuid = ?", key.id)
        return _pack_row(rows[0]) if rows else None

    def lost_chunks(self, domain: DomainId) -> set[bytes]:
        return {row[0] for row in self._all(_LOST_CHUNKS, domain)}

    def owed(self, domain: DomainId, digest: bytes) -> list[Grave]:
        rows = self._all(_OWED, domain, digest)
        return [Grave(pack, offset, Kind(kind), digest) for pack, offset, kind in rows]

    def debts(self) -> dict[DomainId, list[Grave]]:
        found: dict[DomainId, list[Grave]] = {}
        for domain, pack, offset, kind, digest in self._all(_DEBTS):
            found.setdefault(DomainId(domain), []).append(Grave(pack, offset, Kind(kind), digest))
        return found

    def idle_lists(self, domain: DomainId, quiet: int, limit: int) -> list[tuple[bytes, Place]]:
        return [(row[0], _place(row[1:])) for row in self._all(_IDLE_LISTS, domain, quiet, limit)]

    def totals(self) -> tuple[int, int, int]:
        (objects,) = self._all("SELECT count(*) FROM (SELECT DISTINCT domain, address FROM objects)")[0]
        live, size = self._all("SELECT coalesce(sum(live), 0), coalesce(sum(size), 0) FROM packs")[0]
        return objects, live, size - live


class _Changes(_Queries):
    """The port's changes, inside a transaction."""

    def _run(self, statement: str, *values: Any) -> int:
        with _classified():
            return self._connection.execute(statement, values).rowcount

    def _domain(self, domain: DomainId) -> None:
        self._run("INSERT INTO domains (name) VALUES (?) ON CONFLICT DO NOTHING", domain)

    def put_pack(self, key: PackKey, state: PackState, size: int, payload: int) -> None:
        if not self._run(
            "UPDATE packs SET state = ?, size = ?, payload = ? WHERE uuid = ?", state, size, payload, key.id
        ):
            self._domain(key.domain)
            self._run(
                "INSERT INTO packs (uuid, domain, state, size, payload) VALUES (?, ?, ?, ?, ?)",
                key.id, key.domain, state, size, payload,
            )  # fmt: skip

    def forget_pack(self, key: PackKey) -> None:
        row = self.pack(key)
        if row is None:
            return
        if row.live or row.state is PackState.CLOSED or (row.state is PackState.OPEN and row.size):
            # A walk of the tables, for a pack that was lost. Nothing points to one not yet written to.
            self._run(f"DELETE FROM objects WHERE pack = {_PACK}", key.id)
            self._run(f"DELETE FROM chunks WHERE pack = {_PACK} AND refs = 0", key.id)
            self._run(
                f"UPDATE chunks SET pack = NULL, offset = NULL, stored = 0 WHERE pack = {_PACK}", key.id
            )
        self._run("DELETE FROM owed WHERE pack = ?", key.id)
        self._run("DELETE FROM packs WHERE uuid = ?", key.id)

    def add_object(self, domain: DomainId, address: bytes, place: Place) -> bool:
        return bool(
            self._run(
                f"INSERT OR IGNORE INTO objects VALUES ({_DOMAIN}, ?, {_PACK}, ?, ?, ?, ?)",
                domain, address, place.pack.id, place.offset, place.stored, place.raw, place.kind,
            )
        )  # fmt: skip

    def drop_object(self, domain: DomainId, address: bytes, place: Place) -> bool:
        self._touch(place.pack)
        return bool(
            self._run(
                f"DELETE FROM objects WHERE domain = {_DOMAIN} AND address = ? AND pack = {_PACK} "
                "AND offset = ?",
                domain, address, place.pack.id, place.offset,
            )
        )  # fmt: skip

    def move_object(self, domain: DomainId, address: bytes, place: Place, to: Place) -> bool:
        if not self.drop_object(domain, address, place):
            return False
        self.add_object(domain, address, to)
        return True

    def add_chunk(self, domain: DomainId, digest: bytes, place: Place) -> bool:
        return bool(
            self._run(
                f"INSERT INTO chunks (domain, digest, pack, offset, stored, raw, kind) "
                f"VALUES ({_DOMAIN}, ?, {_PACK}, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "pack = excluded.pack, offset = excluded.offset, stored = excluded.stored, "
                "raw = excluded.raw, kind = excluded.kind WHERE pack IS NULL",
                domain, digest, place.pack.id, place.offset, place.stored, place.raw, place.kind,
            )
        )  # fmt: skip

    def move_chunk(self, domain: DomainId, digest: bytes, place: Place, to: Place | None) -> bool:
        where = f"domain = {_DOMAIN} AND digest = ? AND pack = {_PACK} AND offset = ?"
        was = (domain, digest, place.pack.id, place.offset)
        if to is not None:
            return bool(
                self._run(
                    f"UPDATE chunks SET pack = {_PACK}, offset = ?, stored = ? WHERE {where}",
                    to.pack.id, to.offset, to.stored, *was,
                )
            )  # fmt: skip
        self._touch(place.pack)
        if self._run(f"DELETE FROM chunks WHERE {where} AND refs = 0", *was):
            return True
        return bool(
            self._run(f"UPDATE chunks SET pack = NULL, offset = NULL, stored = 0 WHERE {where}", *was)
        )

    def retain(self, domain: DomainId, digests: Mapping[bytes, int]) -> None:
        for digest, times in digests.items():
            self._run(
                f"INSERT INTO chunks (domain, digest, refs) VALUES ({_DOMAIN}, ?, ?) "
                "ON CONFLICT DO UPDATE SET refs = refs + excluded.refs",
                domain, digest, times,
            )  # fmt: skip

    def release(self, domain: DomainId, digests: Mapping[bytes, int]) -> int:
        freed = 0
        packs = set()
        for digest, times in digests.items():
            rows = self._all(
                f"UPDATE chunks SET refs = max(0, refs - ?) WHERE domain = {_DOMAIN} AND digest = ? "
                "RETURNING refs, stored, pack",
                times, domain, digest,
            )  # fmt: skip
            if rows and rows[0][0] == 0:
                freed += rows[0][1]
                packs.add(rows[0][2])
                if rows[0][2] is None:
                    self._run(f"DELETE FROM chunks WHERE domain = {_DOMAIN} AND digest = ?", domain, digest)
        for pack in packs:
            self._run("UPDATE packs SET changed = ? WHERE id = ?", time.time_ns() // 1000, pack)
        return freed

    def release_all(self, domain: DomainId, after: bytes, limit: int) -> bytes | None:
        if self._all(f"SELECT 1 FROM objects WHERE domain = {_DOMAIN} LIMIT 1", domain):
            return None
        digests = self._all(
            f"SELECT digest FROM chunks WHERE domain = {_DOMAIN} AND digest > ? ORDER BY digest LIMIT ?",
            domain, after, limit,
        )  # fmt: skip
        if not digests:
            return None
        last: bytes = digests[-1][0]
        these = f"domain = {_DOMAIN} AND digest > ? AND digest <= ?"
        self._run(f"UPDATE chunks SET refs = 0 WHERE {these} AND refs > 0", domain, after, last)
        self._run(f"DELETE FROM chunks WHERE {these} AND pack IS NULL", domain, after, last)
        return last

    def owe(self, domain: DomainId, graves: Sequence[Grave]) -> None:
        for grave in graves:
            self._run(
                f"INSERT OR IGNORE INTO owed VALUES ({_DOMAIN}, ?, ?, ?, ?)",
                domain, grave.digest, grave.pack, grave.offset, grave.kind,
            )  # fmt: skip

    def paid(self, domain: DomainId, graves: Sequence[Grave]) -> None:
        for grave in graves:
            self._run(
                f"DELETE FROM owed WHERE domain = {_DOMAIN} AND digest = ? AND pack = ? AND offset = ?",
                domain, grave.digest, grave.pack, grave.offset,
            )  # fmt: skip

    def drop_chunk(self, domain: DomainId, digest: bytes, place: Place) -> bool:
        return bool(
            self._run(
                f"DELETE FROM chunks WHERE domain = {_DOMAIN} AND digest = ? AND refs = 0 "
                f"AND pack = {_PACK} AND offset = ?",
                domain, digest, place.pack.id, place.offset,
            )
        )  # fmt: skip

    def _touch(self, key: PackKey) -> None:
        self._run("UPDATE packs SET changed = ? WHERE uuid = ?", time.time_ns() // 1000, key.id)


class SqliteIndex(_Queries):
    """The index file at `path`, made when absent; `lock` is shared by all who change it."""

    def __init__(self, path: Path, lock: LockFile) -> None:
        """Raises Damaged, DriverError, OSError."""
        self._change_lock = lock
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        self._writer = _connect(path)
        try:
            self._prepare()
            super().__init__(_connect(path), threading.Lock())
            # What may walk a table has a connection of its own: the event loop never waits for its lock.
            self._walks = _Queries(_connect(path), threading.Lock())
        except BaseException:
            self._writer.close()
            raise
        self._writer.execute(f"PRAGMA cache_size = {-(_CACHE >> 10)}")
        self._changes = _Changes(self._writer, threading.RLock())

    def _prepare(self) -> None:
        try:
            with self._change_lock.held():
                _set_up(self._writer)
                (version,) = self._writer.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    self._writer.execute("PRAGMA journal_mode = WAL")
                    self._writer.executescript(f"BEGIN;{SCHEMA}COMMIT;")
                elif version != VERSION:
                    raise Damaged(f"it has version {version}")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise Damaged(str(error)) from error
            raise _driver_error(error) from error

    @contextmanager
    def change(self) -> Iterator[_Changes]:
        with self._change_lock.held():
            with _classified():
                self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._changes
                with _classified():
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def packs(self, *states: PackState) -> list[PackRow]:
        return self._walks.packs(*states)

    def objects(
        self, domain: DomainId | None, after: tuple[DomainId, bytes] | None, limit: int
    ) -> list[ListedObject]:
        return self._walks.objects(domain, after, limit)

    def totals(self) -> tuple[int, int, int]:
        return self._walks.totals()

    def note(self) -> Note:
        """What was written down last."""
        rows = dict(self._all("SELECT name, value FROM meta"))
        return Note(rows.get("boot", ""), rows.get("clean") == "1", rows.get("session", ""))

    def set_note(self, note: Note) -> None:
        """Write down, durably."""
        self._write_durably(boot=note.boot, clean=str(int(note.clean)), session=note.session)

    def faults(self) -> list[str]:
        return [text for (text,) in self._all("PRAGMA integrity_check(10)") if text != "ok"]

    def sync(self) -> None:
        self._write_durably(synced=str(time.time_ns()))

    def _write_durably(self, **values: str) -> None:
        """One commit that waits for the disk, and so for all commits before it."""
        with self._change_lock.held(), _classified():
            self._writer.execute("PRAGMA synchronous = FULL")
            try:
                rows = ", ".join(["(?, ?)"] * len(values))
                flat = [part for pair in values.items() for part in pair]
                self._writer.execute(f"INSERT OR REPLACE INTO meta VALUES {rows}", flat)
            finally:
                self._writer.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        self._connection.close()
        self._walks.close()
        self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection for one thread at a time, whichever."""
    return sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")


_FIND = (
    f"SELECT {_PLACE.format('o')} FROM objects o JOIN packs p ON p.id = o.pack "
    f"WHERE o.domain = {_DOMAIN} AND o.address = ?"
)
_CHUNK = (
    f"SELECT {_PLACE.format('c')} FROM chunks c JOIN packs p ON p.id = c.pack "
    f"WHERE c.domain = {_DOMAIN} AND c.digest = ?"
)
_OBJECTS = (
    f"SELECT address, max(raw) FROM objects WHERE domain = {_DOMAIN} AND address > ? "
    "GROUP BY address ORDER BY address LIMIT ?"
)
_LOST_CHUNKS = f"SELECT digest FROM chunks WHERE domain = {_DOMAIN} AND pack IS NULL"
_OWED = f"SELECT pack, offset, kind FROM owed WHERE domain = {_DOMAIN} AND digest = ?"
_DEBTS = "SELECT d.name, o.pack, o.offset, o.kind, o.digest FROM owed o JOIN domains d ON d.id = o.domain"
_AT_WORK = "state <> 3"
_PACKS = "SELECT uuid, domain, state, size, payload, live, changed FROM packs"
_IDLE_LISTS = (
    f"SELECT c.digest, {_PLACE.format('c')} FROM chunks c JOIN packs p ON p.id = c.pack "
    f"WHERE c.domain = {_DOMAIN} AND c.kind = 4 AND c.refs = 0 AND p.changed <= ? LIMIT ?"
)


def _place(row: tuple[Any, ...]) -> Place:
    uuid, domain, offset, stored, raw, kind = row
    return Place(PackKey(DomainId(domain), uuid), offset, stored, raw, Kind(kind))


def _pack_row(row: tuple[Any, ...]) -> PackRow:
    uuid, domain, state, *numbers = row
    return PackRow(PackKey(DomainId(domain), uuid), PackState(state), *numbers)
