"""Whether an object can be read at once: its storage class, and what HEAD says of its restore.

`x-amz-restore` has the form `ongoing-request="true"`, or `ongoing-request="false", expiry-date="…"` with an
HTTP date (S3 API reference, HeadObject).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from registry.contract.dataplane import RestoreStatus
from registry.dataplane.drivers.port import Standing

#: Classes whose objects have to be restored. GLACIER_IR answers at once.
TO_RESTORE = frozenset({"GLACIER", "DEEP_ARCHIVE"})

_ONGOING = re.compile(r'ongoing-request="(true|false)"')
_EXPIRY = re.compile(r'expiry-date="([^"]+)"')


def standing_of(storage_class: str | None, restore: str | None) -> Standing:
    """From the two header fields; a field that cannot be read counts as absent, so that who asks restores."""
    if storage_class not in TO_RESTORE:
        return Standing(RestoreStatus.AVAILABLE)
    ongoing = _ONGOING.search(restore or "")
    if ongoing is None:
        return Standing(None)
    if ongoing[1] == "true":
        return Standing(RestoreStatus.ONGOING)
    expiry = _EXPIRY.search(restore or "")
    try:
        until = int(parsedate_to_datetime(expiry[1]).timestamp() * 1_000_000) if expiry else None
    except ValueError:
        until = None
    return Standing(RestoreStatus.AVAILABLE, until)
