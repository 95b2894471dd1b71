"""What the database remembers of its export, and how the export fares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.contract.errors import ErrorKind, StoreError
from registry.contract.tlog.merkle import EMPTY_ROOT
from registry.control.core import SECOND, Core
from registry.control.sql.exporting import OLDEST_AFTER
from registry.control.work import load

#: The lease, and the row of progress.
WORK = "ledger export"


@dataclass(frozen=True, slots=True)
class Exported:
    """The last checkpoint that this database knows of: `size` entries, their root, when (microseconds).

    `key` is the private key that signs where no other is set, `fault` why the export has stopped.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    at: int = 0
    key: str | None = None
    fault: str | None = None

    @classmethod
    def of(cls, state: dict[str, Any]) -> Exported:
        """From a row of progress, which may be empty."""
        root = bytes.fromhex(state["root"]) if "root" in state else EMPTY_ROOT
        return cls(state.get("size", 0), root, state.get("at", 0), state.get("key"), state.get("fault"))

    def state(self) -> dict[str, Any]:
        """The inverse."""
        found = {"size": self.size, "root": self.root.hex(), "at": self.at, "key": self.key}
        return {**found, "fault": self.fault} if self.fault else found


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """`exported` of `head` events are safe; the first one that is not happened `lag_seconds` ago."""

    exported: int
    head: int
    lag_seconds: float
    checkpoint_at: int
    fault: str | None


async def status(core: Core) -> ExportStatus:
    """How the export fares, for metrics."""
    known = Exported.of(await load(core, WORK))
    head = await core.database.head()
    lag = 0.0
    if head > known.size:
        row = await core.database.fetch_one(OLDEST_AFTER, {"after": known.size})
        lag = max(0, core.clock.now() - row[0]) / SECOND if row else 0.0
    return ExportStatus(min(known.size, head), head, lag, known.at, known.fault)


def fault(sentence: str) -> StoreError:
    """What stops an export until somebody has looked."""
    return StoreError(ErrorKind.CONFLICT, sentence)
