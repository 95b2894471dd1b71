"""Paths and queries: what they name, however they are encoded, and what is refused."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.openapi import document
from native_api.request import parse_path, parse_query
from native_api.resources import (
    ContentName,
    FileName,
    FollowerName,
    Nothing,
    PackageName,
    RepositoryName,
    Resource,
    UploadName,
    VariantName,
)
from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Repository, Tag

HEX = "ab" * 32
DIGEST = Digest.parse(f"sha256:{HEX}")
UPLOAD = "0f8fad5b-d9cb-469f-a165-70867728950e"
V1 = PackageName(Repository("team/sub/app"), Tag("v1"))
AT = PackageName(Repository("team/sub/app"), DIGEST)
HOOK = FollowerName("ci.example.com")

SAMPLES: dict[Resource, tuple[str, object]] = {
    Resource.INDEX: ("/api/v1/", Nothing()),
    Resource.OPENAPI: ("/api/v1/openapi.json", Nothing()),
    Resource.UPLOADS: ("/api/v1/uploads", Nothing()),
    Resource.UPLOAD: (f"/api/v1/uploads/{UPLOAD}", UploadName(UPLOAD)),
    Resource.UPLOAD_COMPLETE: (f"/api/v1/uploads/{UPLOAD}/complete", UploadName(UPLOAD)),
    Resource.PACKAGES: ("/api/v1/packages", Nothing()),
    Resource.VERSIONS: ("/api/v1/packages/team/sub/app", RepositoryName(Repository("team/sub/app"))),
    Resource.VERSION: ("/api/v1/packages/team/sub/app:v1", V1),
    Resource.VERSION_FILE: ("/api/v1/packages/team/sub/app:v1/files/a/b.txt", FileName(V1, "a/b.txt")),
    Resource.VERSION_MANIFEST: ("/api/v1/packages/team/sub/app:v1/manifest.cbor", V1),
    Resource.VERSION_REFERRERS: ("/api/v1/packages/team/sub/app:v1/referrers", V1),
    Resource.VERSION_TAR: ("/api/v1/packages/team/sub/app:v1/archive.tar", V1),
    Resource.VERSION_ZIP: ("/api/v1/packages/team/sub/app:v1/archive.zip", V1),
    Resource.DRAFT: ("/api/v1/packages/team/sub/app:v1/draft", V1),
    Resource.FINALIZE: ("/api/v1/packages/team/sub/app:v1/finalize", V1),
    Resource.DIGEST: (f"/api/v1/packages/team/sub/app@{DIGEST}", AT),
    Resource.DIGEST_FILE: (f"/api/v1/packages/team/sub/app@{DIGEST}/files/x", FileName(AT, "x")),
    Resource.DIGEST_MANIFEST: (f"/api/v1/packages/team/sub/app@{DIGEST}/manifest.cbor", AT),
    Resource.DIGEST_REFERRERS: (f"/api/v1/packages/team/sub/app@{DIGEST}/referrers", AT),
    Resource.DIGEST_TAR: (f"/api/v1/packages/team/sub/app@{DIGEST}/archive.tar", AT),
    Resource.DIGEST_ZIP: (f"/api/v1/packages/team/sub/app@{DIGEST}/archive.zip", AT),
    Resource.CONTENT: (f"/api/v1/content/{DIGEST}", ContentName(DIGEST)),
    Resource.CONTENT_LOCATIONS: (f"/api/v1/content/{DIGEST}/locations", ContentName(DIGEST)),
    Resource.CONTENT_RESTORE: (f"/api/v1/content/{DIGEST}/restore", ContentName(DIGEST)),
    Resource.SCHEMAS: ("/api/v1/schemas", Nothing()),
    Resource.SCHEMA: ("/api/v1/schemas/guide-board.run.v1", VariantName("guide-board.run.v1")),
    Resource.SEARCH: ("/api/v1/search", Nothing()),
    Resource.EVENTS: ("/api/v1/events", Nothing()),
    Resource.USAGE: ("/api/v1/usage", Nothing()),
    Resource.FOLLOWERS: ("/api/v1/followers", Nothing()),
    Resource.FOLLOWER: ("/api/v1/followers/ci.example.com", HOOK),
    Resource.FOLLOWER_LETTERS: ("/api/v1/followers/ci.example.com/dead-letters", HOOK),
    Resource.FOLLOWER_REDELIVER: ("/api/v1/followers/ci.example.com/redeliver", HOOK),
    Resource.FOLLOWER_SKIP: ("/api/v1/followers/ci.example.com/skip", HOOK),
    Resource.FOLLOWER_SEEK: ("/api/v1/followers/ci.example.com/seek", HOOK),
    Resource.FOLLOWER_STOP: ("/api/v1/followers/ci.example.com/stop", HOOK),
    Resource.FOLLOWER_RESUME: ("/api/v1/followers/ci.example.com/resume", HOOK),
}


def refused(path: str) -> ErrorKind:
    with pytest.raises(StoreError) as caught:
        parse_path(path)
    return caught.value.kind


def test_every_resource_has_a_sample_and_is_documented() -> None:
    assert set(SAMPLES) == set(Resource) == {Resource(path) for path in document()["paths"]}


@pytest.mark.parametrize("resource", Resource)
def test_a_path_names_its_resource(resource: Resource) -> None:
    path, name = SAMPLES[resource]
    target = parse_path(path)
    assert (target.resource, target.name) == (resource, name)


@pytest.mark.parametrize("resource", Resource)
def test_slashes_and_all_else_may_be_encoded(resource: Resource) -> None:
    path, name = SAMPLES[resource]
    target = parse_path(path[:5] + "".join(f"%{byte:02x}" for byte in path[5:].encode()))
    assert (target.resource, target.name) == (resource, name)


@pytest.mark.parametrize("resource", Resource)
def test_query_and_absolute_form_do_not_matter_to_the_path(resource: Resource) -> None:
    path, name = SAMPLES[resource]
    target = parse_path(f"http://example.org:5000{path}?a=/b:c@d")
    assert (target.resource, target.name) == (resource, name)


def test_the_index_answers_without_its_slash() -> None:
    assert parse_path("/api/v1").resource is Resource.INDEX


def test_a_path_is_decoded_exactly_once() -> None:
    target = parse_path("/api/v1/packages/app:v1/files/100%2525")
    assert target.name == FileName(PackageName(Repository("app"), Tag("v1")), "100%25")


@given(st.text(min_size=1).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)))
def test_any_file_name_survives_encoding(name: str) -> None:
    for safe in ("", "/:@"):
        target = parse_path(f"/api/v1/packages/app:v1/files/{quote(name, safe=safe)}")
        assert target.name == FileName(PackageName(Repository("app"), Tag("v1")), name)


@given(st.text())
def test_whatever_the_path_it_names_something_or_is_refused_as_a_store_error(text: str) -> None:
    for path in (text, f"/api/v1/{text}", f"/api/v1/packages/{text}", f"/api/v1/packages/a:b/{text}"):
        with contextlib.suppress(StoreError):
            parse_path(path.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v2/packages", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1packages", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/nothing", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/uploads/", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/packages/", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/usage/x", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/uploads/not-a-uuid", ErrorKind.UPLOAD_UNKNOWN),
        (f"/api/v1/uploads/{UPLOAD.upper()}", ErrorKind.UPLOAD_UNKNOWN),
        (f"/api/v1/uploads/{UPLOAD}/other", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/packages/Upper", ErrorKind.NAME_INVALID),
        ("/api/v1/packages/a//b:v1", ErrorKind.NAME_INVALID),
        ("/api/v1/packages/../etc:v1", ErrorKind.NAME_INVALID),
        ("/api/v1/packages/%2e%2e/etc:v1", ErrorKind.NAME_INVALID),
        ("/api/v1/packages/app:", ErrorKind.REFERENCE_INVALID),
        ("/api/v1/packages/app:.v1", ErrorKind.REFERENCE_INVALID),
        (f"/api/v1/packages/app:v1@sha256:{HEX}", ErrorKind.REFERENCE_INVALID),
        (f"/api/v1/packages/app:sha256:{HEX}", ErrorKind.REFERENCE_INVALID),
        ("/api/v1/packages/app@v1", ErrorKind.DIGEST_INVALID),
        ("/api/v1/packages/app@sha256:xyz", ErrorKind.DIGEST_INVALID),
        (f"/api/v1/packages/app@sha256:{HEX}/draft", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/packages/app:v1/", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/packages/app:v1/files", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/packages/app:v1/manifest.json", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/content/md5:00", ErrorKind.DIGEST_INVALID),
        (f"/api/v1/content/{DIGEST}/", ErrorKind.ROUTE_UNKNOWN),
        ("/api/v1/schemas/a/b", ErrorKind.BAD_REQUEST),
        ("/api/v1/packages/a%", ErrorKind.BAD_REQUEST),
        ("/api/v1/packages/a%zz", ErrorKind.BAD_REQUEST),
        ("/api/v1/packages/app:v1/files/%ff", ErrorKind.BAD_REQUEST),
        ("/api/v1/packages/app:v1/files/%c0%af", ErrorKind.BAD_REQUEST),
    ],
)
def test_paths_that_name_nothing_say_why(path: str, kind: ErrorKind) -> None:
    assert refused(path) is kind


def test_a_query_is_read_as_forms_write_it() -> None:
    raw = "/x?limit=5&label.a+b=%C3%BC+1%2B1&empty=&flag&&metadata.p=a=b"
    assert parse_query(raw) == [
        ("limit", "5"),
        ("label.a b", "ü 1+1"),
        ("empty", ""),
        ("flag", ""),
        ("metadata.p", "a=b"),
    ]


def test_a_query_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(StoreError) as caught:
        parse_query("/x?a=%ff")
    assert caught.value.kind is ErrorKind.BAD_REQUEST
