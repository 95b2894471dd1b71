"""What one request to the native API may cost, with the reason beside each number."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the native API. Sizes are bytes, times are seconds."""

    #: A package body: 1 MiB of metadata and a list of files as long as a 4 MiB OCI manifest can hold.
    json_body: int = 8 * MIB
    #: A JSON Schema; larger ones are data, not schemas.
    schema_body: int = 1 * MIB
    #: All other bodies hold a few digests.
    small_body: int = 64 * KIB
    #: The largest upload, told to tus clients as `Tus-Max-Size`; None is no limit of this face.
    upload_size: int | None = None
    #: A body that sends nothing for so long is broken off; there is no deadline for the whole request.
    idle_timeout: float = 60.0
    #: A reader that takes nothing for so long is cut off.
    stall_timeout: float = 60.0
    #: An event stream sends a comment this often, below the idle limits of common proxies (60 s).
    heartbeat: float = 15.0
