"""What is done about bytes that are absent or not what their address says.

They are moved out of the way and the ledger says that they are missing, so that HEAD answers 404 and a
client's push heals them. Where another place has them, they come from there at once: a second copy in the
same store, as packing leaves one for a moment, or another store.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from registry.contract.dataplane import DataPlane, DomainId
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.control import copying, recording
from registry.control.core import SYSTEM, Core

_LOG = logging.getLogger(__name__)


async def examine(core: Core, domain: DomainId, address: Digest) -> str | None:
    """Read every byte; None when they are right, else what is wrong. Raises what is unsure."""
    try:
        return (await core.dataplane.verify(domain, address)).fault
    except StoreError as error:
        if error.kind is not ErrorKind.CONTENT_UNKNOWN:
            raise
        return "the bytes are not there"


async def repair(
    core: Core, domain: DomainId, address: Digest, fault: str, others: Sequence[DataPlane] = ()
) -> bool:
    """Quarantine, record, and fetch from one of the `others`; True when the bytes are right again.

    Right bytes are left alone: they came after the look that found the fault, or lie in a second place.
    """
    if await core.dataplane.quarantine(domain, address):
        _LOG.warning("content %s in domain %s was not right, and is by now: %s", address, domain, fault)
        await recording.note_healed(core, SYSTEM, domain, address)
        return True
    _LOG.error("content %s in domain %s is not right: %s", address, domain, fault)
    await recording.note_missing(core, SYSTEM, domain, address, fault)
    for other in others:
        if await _fetch(core, domain, address, other):
            await recording.note_healed(core, SYSTEM, domain, address)
            return True
    return False


async def _fetch(core: Core, domain: DomainId, address: Digest, other: DataPlane) -> bool:
    try:
        size = await other.size(domain, address)
        await copying.copy(other, core.dataplane, domain, address, size, core.identifiers.new())
    except StoreError as error:
        _LOG.warning("%s could not be had from another location: %s", address, error)
        return False
    return True
