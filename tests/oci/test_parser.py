"""The parser of `/v2/`: what it renders it reads, and nothing makes it raise anything but StoreError."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oci.parser import parse
from oci.request import (
    AppendUpload,
    CancelUpload,
    CheckVersion,
    CompleteUpload,
    DeleteBlob,
    DeleteManifest,
    GetBlob,
    GetManifest,
    GetUpload,
    ListReferrers,
    ListRepositories,
    ListTags,
    MountBlob,
    PutBlob,
    PutManifest,
    Request,
    StartUpload,
    method_of,
    target_of,
)
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Repository, Tag

HEX = "0123456789abcdef" * 4
SHA = f"sha256:{HEX}"
DIGEST = Digest(Algorithm.SHA256, HEX)

_words = st.sampled_from(
    ["blobs", "uploads", "manifests", "tags", "list", "referrers", "v2", "a", "x-y", "1.2", "a__b", "o"]
)
repositories = st.lists(_words, min_size=1, max_size=5).map(lambda parts: Repository("/".join(parts)))
tags = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True).map(Tag) | st.sampled_from(
    [Tag("list"), Tag("uploads"), Tag("latest")]
)
digests = st.sampled_from(Algorithm).flatmap(
    lambda algorithm: st.text("0123456789abcdef", min_size=1, max_size=1).map(
        lambda digit: Digest(algorithm, digit * (128 if algorithm is Algorithm.SHA512 else 64))
    )
)
uploads = st.uuids().map(str) | st.sampled_from(["list", "blobs", "tags"])
algorithms = st.none() | st.sampled_from(Algorithm)
limits = st.none() | st.integers(0, 999_999_999)
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30)

requests = st.one_of(
    st.just(CheckVersion()),
    st.builds(GetBlob, repositories, digests),
    st.builds(DeleteBlob, repositories, digests),
    st.builds(StartUpload, repositories, algorithms),
    st.builds(PutBlob, repositories, digests),
    st.builds(MountBlob, repositories, digests, st.none() | repositories, algorithms),
    st.builds(GetUpload, repositories, uploads),
    st.builds(AppendUpload, repositories, uploads),
    st.builds(CompleteUpload, repositories, uploads, digests),
    st.builds(CancelUpload, repositories, uploads),
    st.builds(GetManifest, repositories, tags | digests),
    st.builds(PutManifest, repositories, tags | digests, st.lists(tags, max_size=12).map(tuple)),
    st.builds(DeleteManifest, repositories, tags | digests),
    st.builds(ListTags, repositories, limits, st.none() | texts),
    st.builds(
        ListReferrers, repositories, digests, st.none() | texts.filter(bool), limits, st.none() | texts
    ),
    st.builds(ListRepositories, limits, st.none() | texts),
)


def read(method: str, target: str) -> Request:
    path, _, query = target.partition("?")
    return parse(method, path, query)


def refusal(method: str, target: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        read(method, target)
    return caught.value


@given(requests)
def test_what_is_rendered_is_read_as_the_same(request: Request) -> None:
    assert read(method_of(request), target_of(request)) == request


@given(requests)
def test_a_target_that_is_encoded_all_over_means_the_same_once_only(request: Request) -> None:
    path, _, query = target_of(request).partition("?")
    encoded = "".join(f"%{ord(char):02X}" for char in path)
    assert parse(method_of(request), encoded, query) == request
    twice = encoded.replace("%", "%25")
    with pytest.raises(StoreError):
        parse(method_of(request), twice, query)


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "get", ""]),
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            ["v2", "a", "blobs", "uploads", "manifests", "tags", "list", "referrers", "", SHA, ".."]
        )
    ).map(lambda parts: "/" + "/".join(parts)),
    st.text(max_size=60)
    | st.lists(
        st.tuples(
            st.sampled_from(
                ["n", "last", "digest", "mount", "from", "tag", "digest-algorithm", "artifactType"]
            ),
            st.sampled_from([SHA, "a/b", "5", "-1", "%", "%zz", "%ff", "\ud800", "sha512", ""])
            | st.text(max_size=9),
        )
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
)
@example("GET", "/v2/a/tags/list", "last=%00")
@example("GET", "/v2/a/tags/list", "last=\udcff")
def test_nothing_raises_anything_but_a_store_error(method: str, path: str, query: str) -> None:
    try:
        request = parse(method, path, query)
    except StoreError:
        return
    target_of(request).encode("ascii")
    assert parse(method_of(request), *_split(target_of(request))) == request


def _split(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    return path, query


@pytest.mark.parametrize(
    ("method", "target", "request_"),
    [
        ("GET", "/v2", CheckVersion()),
        ("HEAD", "/v2/", CheckVersion()),
        ("HEAD", f"/v2/a/blobs/{SHA}", GetBlob(Repository("a"), DIGEST)),
        ("HEAD", "/v2/a/manifests/x", GetManifest(Repository("a"), Tag("x"))),
        ("POST", "/v2/a/blobs/uploads", StartUpload(Repository("a"))),
        ("POST", "/v2/a/manifests/blobs/uploads/", StartUpload(Repository("a/manifests"))),
        ("GET", "/v2/blobs/uploads/tags/list", ListTags(Repository("blobs/uploads"))),
        ("GET", "/v2/a/tags/list/tags/list", ListTags(Repository("a/tags/list"))),
        (
            "GET",
            "/v2/a/blobs/uploads/manifests/list",
            GetManifest(Repository("a/blobs/uploads"), Tag("list")),
        ),
        ("GET", "/v2/a%2Fb/tags/list", ListTags(Repository("a/b"))),
        (
            "GET",
            f"/v2/a/referrers/{SHA}?artifactType=application/vnd.a+json",
            ListReferrers(Repository("a"), DIGEST, "application/vnd.a+json"),
        ),
        ("GET", f"/v2/a/referrers/{SHA}?artifactType=", ListReferrers(Repository("a"), DIGEST)),
        ("POST", f"/v2/a/blobs/uploads/?mount=nonsense&from=b&digest={SHA}", StartUpload(Repository("a"))),
        ("POST", f"/v2/a/blobs/uploads/?mount={SHA}&from=B", StartUpload(Repository("a"))),
        ("GET", "/v2/_catalog?n=0&n=5&x=1", ListRepositories(0)),
    ],
)
def test_a_request_is(method: str, target: str, request_: Request) -> None:
    assert read(method, target) == request_


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("GET", "/v2/A/manifests/x", ErrorKind.NAME_INVALID),
        ("GET", "/v2//manifests/x", ErrorKind.NAME_INVALID),
        ("GET", "/v2/a//b/tags/list", ErrorKind.NAME_INVALID),
        ("GET", "/v2/a/../b/tags/list", ErrorKind.NAME_INVALID),
        ("GET", f"/v2/{'a' * 256}/tags/list", ErrorKind.NAME_INVALID),
        ("GET", f"/v2/A/referrers/{SHA}", ErrorKind.NAME_INVALID),
        ("GET", "/v2/a/manifests/.bad", ErrorKind.MANIFEST_UNKNOWN),
        ("DELETE", "/v2/a/manifests/.bad", ErrorKind.MANIFEST_UNKNOWN),
        ("PUT", "/v2/a/manifests/.bad", ErrorKind.REFERENCE_INVALID),
        ("PUT", f"/v2/a/manifests/{SHA}?tag=.bad", ErrorKind.REFERENCE_INVALID),
        ("GET", "/v2/a/manifests/sha256:12", ErrorKind.DIGEST_INVALID),
        ("GET", "/v2/a/blobs/sha256:12", ErrorKind.DIGEST_INVALID),
        ("GET", f"/v2/a/blobs/md5:{HEX}", ErrorKind.DIGEST_INVALID),
        ("GET", "/v2/a/referrers/x", ErrorKind.DIGEST_INVALID),
        ("POST", "/v2/a/blobs/uploads/?digest=x", ErrorKind.DIGEST_INVALID),
        ("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", ErrorKind.DIGEST_INVALID),
        ("PUT", "/v2/a/blobs/uploads/1", ErrorKind.DIGEST_INVALID),
        ("GET", "/v2/a/blobs/uploads/..", ErrorKind.UPLOAD_UNKNOWN),
        ("GET", "/v2/a/tags/list?n=-1", ErrorKind.BAD_REQUEST),
        ("GET", "/v2/a/tags/list?n=x", ErrorKind.BAD_REQUEST),
        ("GET", "/v2/a/tags/list?n=", ErrorKind.BAD_REQUEST),
        ("GET", "/v2/a/tags/other", ErrorKind.ROUTE_UNKNOWN),
        ("GET", "/v2/a/tags/list/", ErrorKind.ROUTE_UNKNOWN),
        ("GET", "/v2/a/uploads/1", ErrorKind.ROUTE_UNKNOWN),
        ("GET", "/v2/a", ErrorKind.ROUTE_UNKNOWN),
        ("GET", "/v1/", ErrorKind.ROUTE_UNKNOWN),
        ("GET", "", ErrorKind.ROUTE_UNKNOWN),
    ],
)
def test_a_bad_request_is_refused_as(method: str, target: str, kind: ErrorKind) -> None:
    assert refusal(method, target).kind is kind


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/v2/", ["GET", "HEAD"]),
        ("POST", "/v2/a/manifests/x", ["GET", "HEAD", "PUT", "DELETE"]),
        ("PUT", f"/v2/a/blobs/{SHA}", ["GET", "HEAD", "DELETE"]),
        ("GET", "/v2/a/blobs/uploads/", ["POST"]),
        ("POST", "/v2/a/blobs/uploads/1", ["GET", "HEAD", "PATCH", "PUT", "DELETE"]),
        ("DELETE", "/v2/a/tags/list", ["GET", "HEAD"]),
        ("PATCH", f"/v2/a/referrers/{SHA}", ["GET", "HEAD"]),
        ("OPTIONS", "/v2/_catalog", ["GET", "HEAD"]),
    ],
)
def test_another_method_is_told_which_there_are(method: str, target: str, allow: list[str]) -> None:
    error = refusal(method, target)
    assert error.kind is ErrorKind.METHOD_NOT_ALLOWED
    assert error.detail["allow"] == allow
