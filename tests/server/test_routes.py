"""Labels stay few, whatever names clients choose."""

import pytest

from registry.server.routes import Route, is_native, is_oci, route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route.OCI_BASE),
        ("/v2/", Route.OCI_BASE),
        ("/v2/_catalog", Route.OCI_CATALOG),
        ("/v2/a/b/tags/list", Route.OCI_TAGS),
        ("/v2/a/manifests/v1", Route.OCI_MANIFEST),
        ("/v2/a/manifests/sha256:0", Route.OCI_MANIFEST),
        ("/v2/a/blobs/sha256:0", Route.OCI_BLOB),
        ("/v2/a/blobs/uploads", Route.OCI_UPLOAD),
        ("/v2/a/blobs/uploads/", Route.OCI_UPLOAD),
        ("/v2/a/blobs/uploads/123", Route.OCI_UPLOAD),
        ("/v2/a/referrers/sha256:0", Route.OCI_REFERRERS),
        # A repository may be called as the API's own words.
        ("/v2/blobs/manifests/manifests/v1", Route.OCI_MANIFEST),
        ("/v2/uploads/tags/list", Route.OCI_TAGS),
        ("/v2/x", Route.OCI_OTHER),
        ("/v2//", Route.OCI_OTHER),
        ("/api/v1/packages/a/b:1/files/x/y", Route.NATIVE_PACKAGES),
        ("/api/v1/uploads", Route.NATIVE_UPLOADS),
        ("/api/v1/search", Route.NATIVE_SEARCH),
        ("/api/v1", Route.NATIVE_OTHER),
        ("/api/v1/unheard-of", Route.NATIVE_OTHER),
        ("/healthz", Route.OPERATIONS),
        ("/", Route.OPERATIONS),
        ("/v2x", Route.NONE),
        ("/api/v2/", Route.NONE),
        ("/wp-admin", Route.NONE),
        ("", Route.NONE),
    ],
)
def test_routes(path: str, route: Route) -> None:
    assert route_of(path) is route


def test_faces_own_whole_segments_only() -> None:
    assert is_oci("/v2/x")
    assert not is_oci("/v22")
    assert is_native("/api/v1/x")
    assert not is_native("/api/v11")
