"""The ledger's export as the settings say: where it goes, and the key that signs it.

The key lies where the database is: beside it in the data folder, or, as replicas have nothing else that they
share and the bucket does not know, in the database itself; unless `recovery.key` names a file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.control.export import Export
from registry.control.export.exporter import VERIFIER
from registry.control.export.reading import checkpoint
from registry.control.export.state import ExportStatus
from registry.control.sql.inspection import last_event
from registry.dataplane.archives import bucket_archive, folder_archive
from registry.server.folder import database_of
from registry.server.settings import Settings
from registry.server.storage_settings import bucket_of

_KEY = "checkpoint.key"


def archive_of(settings: Settings) -> Archive:
    """Where the export is, whether or not anything is written there. Raises StoreError without the SDK."""
    bucket = bucket_of(settings.storage)
    return folder_archive(settings.server.data) if bucket is None else bucket_archive(bucket)


def key_file(settings: Settings) -> Path | None:
    """The file of the key that signs; None where it is kept in the database."""
    if settings.recovery.key is not None:
        return settings.recovery.key
    return settings.server.data / _KEY if settings.database.url is None else None


def export_of(settings: Settings, *, make: bool = False) -> Export | None:
    """The export, None where it is off; with `make` its key is made. Raises OSError, StoreError."""
    if not settings.recovery.export:
        return None
    path = key_file(settings)
    key = _read_or_make(path) if make and path is not None else present_key(settings)
    return Export(archive_of(settings), key, settings.recovery.lag)


def present_key(settings: Settings) -> str | None:
    """The private key of the settings; None where it is not there or kept in the database. Raises OSError."""
    path = key_file(settings)
    return path.read_text("ascii") if path is not None and path.exists() else None


def gauges_of(found: ExportStatus) -> dict[str, tuple[str, float]]:
    """How the export fares, as metrics."""
    return {
        "export_events": ("Events that the checkpoint in storage covers", found.exported),
        "export_lag_events": ("Events that it does not cover yet", found.head - found.exported),
        "export_lag_seconds": ("Since the first of them", found.lag_seconds),
        "export_stopped": ("1 while what is in storage is not this ledger's past", found.fault is not None),
    }


async def describe(settings: Settings) -> str:
    """What is safe now, for `doctor`. Raises StoreError for storage that does not answer or holds no log."""
    archive = archive_of(settings)
    head = await last_event(database_of(settings))
    try:
        stored = await checkpoint(archive)
        key = (await archive.get(VERIFIER) or b"").decode("utf-8", "replace").strip()
    except StoreError as error:
        # Before its first start a store is nowhere. What else may be wrong with storage is told beside this.
        if head or error.kind is not ErrorKind.INTERNAL:
            raise
        stored = None
    finally:
        await archive.close()
    if stored is None:
        return "nothing was exported yet; a server begins with its first event"
    said = f"{stored.checkpoint.size} of {head} events are in storage, signed by {key}"
    if head < stored.checkpoint.size:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"{said}: the database is new or older than the storage; `artifact-store recover` rebuilds it",
        )
    return said


def _read_or_make(path: Path) -> str:
    """Of several processes that make the key at once one does, and all have that one."""
    from registry.contract.tlog.ed25519 import new_key  # late: a server whose key is there starts without it

    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(new_key())
            file.flush()
            os.fsync(fd)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(new)
    finally:
        new.unlink()
    return path.read_text("ascii")
