"""What a client may ask of `/v2/`: one typed request per operation, and its spelling as method and target.

Source: distribution-spec, "Endpoints" (`end-1` to `end-13`), and the catalog that Docker's API v2 adds. HEAD
is the GET it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from registry.contract.digest import Algorithm, Digest
from registry.contract.names import Reference, Repository, Tag


@dataclass(frozen=True, slots=True)
class CheckVersion:
    """`GET /v2/`."""


@dataclass(frozen=True, slots=True)
class GetBlob:
    """`GET /v2/<name>/blobs/<digest>`."""

    repository: Repository
    digest: Digest


@dataclass(frozen=True, slots=True)
class DeleteBlob:
    """`DELETE /v2/<name>/blobs/<digest>`."""

    repository: Repository
    digest: Digest


@dataclass(frozen=True, slots=True)
class StartUpload:
    """`POST /v2/<name>/blobs/uploads/`; `algorithm` is that of `?digest-algorithm=`."""

    repository: Repository
    algorithm: Algorithm | None = None


@dataclass(frozen=True, slots=True)
class PutBlob:
    """`POST /v2/<name>/blobs/uploads/?digest=`: the whole blob is the body."""

    repository: Repository
    digest: Digest


@dataclass(frozen=True, slots=True)
class MountBlob:
    """`POST /v2/<name>/blobs/uploads/?mount=&from=`; `algorithm` is for the upload it may become."""

    repository: Repository
    digest: Digest
    source: Repository | None = None
    algorithm: Algorithm | None = None


@dataclass(frozen=True, slots=True)
class GetUpload:
    """`GET /v2/<name>/blobs/uploads/<upload>`."""

    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class AppendUpload:
    """`PATCH /v2/<name>/blobs/uploads/<upload>`: the body follows what is there."""

    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """`PUT /v2/<name>/blobs/uploads/<upload>?digest=`, with the last chunk as its body or none."""

    repository: Repository
    upload: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class CancelUpload:
    """`DELETE /v2/<name>/blobs/uploads/<upload>`."""

    repository: Repository
    upload: str


@dataclass(frozen=True, slots=True)
class GetManifest:
    """`GET /v2/<name>/manifests/<reference>`."""

    repository: Repository
    reference: Reference


@dataclass(frozen=True, slots=True)
class PutManifest:
    """`PUT /v2/<name>/manifests/<reference>?tag=&tag=`."""

    repository: Repository
    reference: Reference
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteManifest:
    """`DELETE /v2/<name>/manifests/<reference>`."""

    repository: Repository
    reference: Reference


@dataclass(frozen=True, slots=True)
class ListTags:
    """`GET /v2/<name>/tags/list?n=&last=`."""

    repository: Repository
    limit: int | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class ListReferrers:
    """`GET /v2/<name>/referrers/<digest>?artifactType=`; `n` and `last` appear in our own `Link`s."""

    repository: Repository
    digest: Digest
    artifact_type: str | None = None
    limit: int | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class ListRepositories:
    """`GET /v2/_catalog?n=&last=`."""

    limit: int | None = None
    last: str | None = None


#: Requests that concern an upload session that exists.
UploadRequest = GetUpload | AppendUpload | CompleteUpload | CancelUpload

Request = (
    CheckVersion
    | GetBlob
    | DeleteBlob
    | StartUpload
    | PutBlob
    | MountBlob
    | UploadRequest
    | GetManifest
    | PutManifest
    | DeleteManifest
    | ListTags
    | ListReferrers
    | ListRepositories
)


def method_of(request: Request) -> str:
    """The method that asks for `request`."""
    match request:
        case StartUpload() | PutBlob() | MountBlob():
            return "POST"
        case AppendUpload():
            return "PATCH"
        case CompleteUpload() | PutManifest():
            return "PUT"
        case DeleteBlob() | CancelUpload() | DeleteManifest():
            return "DELETE"
        case _:
            return "GET"


def target_of(request: Request) -> str:
    """Path and query that name `request`, percent-encoded: fit for Location, Link and a client."""
    return f"/v2/{_path(request)}{_query(_parameters(request))}"


def _path(request: Request) -> str:
    match request:
        case CheckVersion():
            path = ""
        case ListRepositories():
            path = "_catalog"
        case GetBlob() | DeleteBlob():
            path = f"{request.repository}/blobs/{request.digest}"
        case StartUpload() | PutBlob() | MountBlob():
            path = f"{request.repository}/blobs/uploads/"
        case GetUpload() | AppendUpload() | CompleteUpload() | CancelUpload():
            path = f"{request.repository}/blobs/uploads/{request.upload}"
        case GetManifest() | PutManifest() | DeleteManifest():
            path = f"{request.repository}/manifests/{request.reference}"
        case ListTags():
            path = f"{request.repository}/tags/list"
        case ListReferrers():
            path = f"{request.repository}/referrers/{request.digest}"
    return path


def _parameters(request: Request) -> list[tuple[str, object]]:
    match request:
        case StartUpload():
            pairs: list[tuple[str, object]] = [("digest-algorithm", request.algorithm)]
        case PutBlob() | CompleteUpload():
            pairs = [("digest", request.digest)]
        case MountBlob():
            pairs = [
                ("mount", request.digest),
                ("from", request.source),
                ("digest-algorithm", request.algorithm),
            ]
        case PutManifest():
            pairs = [("tag", tag) for tag in request.tags]
        case ListTags() | ListRepositories():
            pairs = [("n", request.limit), ("last", request.last)]
        case ListReferrers():
            pairs = [
                ("artifactType", request.artifact_type),
                ("n", request.limit),
                ("last", request.last),
            ]
        case _:
            pairs = []
    return [(name, value) for name, value in pairs if value is not None]


def _query(parameters: list[tuple[str, object]]) -> str:
    if not parameters:
        return ""
    return "?" + "&".join(f"{name}={quote(str(value), safe=':')}" for name, value in parameters)
