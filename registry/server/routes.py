"""Which part of the product a path belongs to, for dispatch and for labels that stay few.

A label must not grow with names that clients choose, so a route is one of a fixed list.
"""

from __future__ import annotations

from enum import Enum


class Route(Enum):
    """(face, route) as they stand in metrics."""

    OCI_BASE = ("oci", "base")
    OCI_CATALOG = ("oci", "catalog")
    OCI_TAGS = ("oci", "tags")
    OCI_REFERRERS = ("oci", "referrers")
    OCI_MANIFEST = ("oci", "manifest")
    OCI_BLOB = ("oci", "blob")
    OCI_UPLOAD = ("oci", "upload")
    OCI_OTHER = ("oci", "other")
    NATIVE_UPLOADS = ("native", "uploads")
    NATIVE_PACKAGES = ("native", "packages")
    NATIVE_CONTENT = ("native", "content")
    NATIVE_SCHEMAS = ("native", "schemas")
    NATIVE_SEARCH = ("native", "search")
    NATIVE_EVENTS = ("native", "events")
    NATIVE_USAGE = ("native", "usage")
    NATIVE_FOLLOWERS = ("native", "followers")
    NATIVE_OTHER = ("native", "other")
    OPERATIONS = ("operations", "operations")
    NONE = ("none", "none")


_OCI_BY_KIND = {
    "tags": Route.OCI_TAGS,
    "referrers": Route.OCI_REFERRERS,
    "manifests": Route.OCI_MANIFEST,
    "blobs": Route.OCI_BLOB,
    "uploads": Route.OCI_UPLOAD,
}
_NATIVE_BY_NAME = {route.value[1]: route for route in Route if route.name.startswith("NATIVE_")}

#: Paths the server answers itself.
OPERATIONS = frozenset({"/", "/healthz", "/readyz", "/metrics"})


def is_oci(path: str) -> bool:
    return path.startswith("/v2/") or path == "/v2"


def is_native(path: str) -> bool:
    return path.startswith("/api/v1/") or path == "/api/v1"


def route_of(path: str) -> Route:
    """The route of a path without its query."""
    if is_oci(path):
        if path in ("/v2", "/v2/"):
            return Route.OCI_BASE
        if path == "/v2/_catalog":
            return Route.OCI_CATALOG
        # Repository names hold slashes, so what is asked for stands before the last segment.
        if path.endswith("/blobs/uploads"):
            return Route.OCI_UPLOAD
        return _OCI_BY_KIND.get(path.rsplit("/", 2)[-2], Route.OCI_OTHER)
    if is_native(path):
        return _NATIVE_BY_NAME.get(path[len("/api/v1/") :].partition("/")[0], Route.NATIVE_OTHER)
    return Route.OPERATIONS if path in OPERATIONS else Route.NONE
