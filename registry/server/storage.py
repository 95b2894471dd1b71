"""The data plane that the settings name, opened: files of the data folder, or a bucket."""

from __future__ import annotations

from registry.contract.dataplane import DataPlane
from registry.dataplane import DataPlaneSettings, open_local, open_s3
from registry.server.settings import Settings
from registry.server.storage_settings import bucket_of


async def open_storage(settings: Settings, plane: DataPlaneSettings | None = None) -> DataPlane:
    """Open it, with `plane` for what is not this server's defaults. Raises StoreError, OSError."""
    plane = plane or DataPlaneSettings()
    bucket = bucket_of(settings.storage)
    if bucket is None:
        return open_local(settings.server.data, settings=plane)
    return await open_s3(bucket, settings=plane)
