"""The error table is total, its envelope exact."""

from __future__ import annotations

import json
import typing

import pytest

from oci.errors import WIRE, envelope
from oci.face import HANDLERS
from oci.request import Request
from registry.contract.errors import ErrorKind, FieldError, StoreError

#: distribution-spec, "Error Codes", and the two of Docker's registry for what the spec leaves out.
CODES = {
    *(
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
    ),
    *("MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED"),
    *("DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "UNAVAILABLE", "UNKNOWN"),
}


def test_every_kind_has_a_status_and_a_known_code() -> None:
    assert set(WIRE) == set(ErrorKind)
    for kind, (status, code) in WIRE.items():
        assert 400 <= status < 600, kind
        assert code in CODES, kind


def test_every_request_has_a_handler() -> None:
    assert set(HANDLERS) == set(typing.get_args(Request))


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_the_envelope_is_that_of_the_spec(kind: ErrorKind) -> None:
    status, headers, body = envelope(StoreError(kind, "what to do", detail={"offset": 5}))
    assert (status, WIRE[kind][1]) == WIRE[kind]
    assert headers[0] == ("Content-Type", "application/json")
    assert json.loads(body) == {
        "errors": [{"code": WIRE[kind][1], "message": "what to do", "detail": {"offset": 5}}]
    }
    if status == 405:
        assert dict(headers)["Allow"] == "GET, HEAD"
    if status in (429, 503):
        assert int(dict(headers)["Retry-After"]) > 0


def test_details_become_headers_where_http_has_some() -> None:
    def headers(kind: ErrorKind, **detail: object) -> dict[str, str]:
        return dict(envelope(StoreError(kind, "", detail=detail))[1])

    assert headers(ErrorKind.UNAVAILABLE, retry_after=17)["Retry-After"] == "17"
    assert headers(ErrorKind.METHOD_NOT_ALLOWED, allow=["PUT"])["Allow"] == "PUT"
    assert headers(ErrorKind.RANGE_UNSATISFIABLE, size=7)["Content-Range"] == "bytes */7"


def test_faults_of_metadata_are_listed() -> None:
    error = StoreError(ErrorKind.VALIDATION_FAILED, "no", errors=[FieldError("/a", "must be a number")])
    (entry,) = json.loads(envelope(error)[2])["errors"]
    assert entry["detail"] == {"errors": [{"path": "/a", "message": "must be a number"}]}


def test_a_bad_request_while_pushing_a_blob_is_about_the_upload() -> None:
    error = StoreError(ErrorKind.BAD_REQUEST, "no")
    assert json.loads(envelope(error, uploading=True)[2])["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
