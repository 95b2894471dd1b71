"""The resources of the API: one enum whose values are their OpenAPI path templates, and what a path names.

`{repository}` holds slashes. A package is `{repository}:{version}` or, to read, `{repository}@{digest}`:
neither mark can stand in a repository's name, so that no path has two meanings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry.contract.digest import Digest
from registry.contract.names import Reference, Repository, Tag

_PACKAGES = "/api/v1/packages"


class Resource(StrEnum):
    """Each value is the template that the OpenAPI document shows."""

    INDEX = "/api/v1/"
    OPENAPI = "/api/v1/openapi.json"
    UPLOADS = "/api/v1/uploads"
    UPLOAD = "/api/v1/uploads/{upload}"
    UPLOAD_COMPLETE = "/api/v1/uploads/{upload}/complete"
    PACKAGES = _PACKAGES
    VERSIONS = _PACKAGES + "/{repository}"
    VERSION = _PACKAGES + "/{repository}:{version}"
    VERSION_FILE = _PACKAGES + "/{repository}:{version}/files/{path}"
    VERSION_MANIFEST = _PACKAGES + "/{repository}:{version}/manifest.cbor"
    VERSION_REFERRERS = _PACKAGES + "/{repository}:{version}/referrers"
    VERSION_TAR = _PACKAGES + "/{repository}:{version}/archive.tar"
    VERSION_ZIP = _PACKAGES + "/{repository}:{version}/archive.zip"
    DRAFT = _PACKAGES + "/{repository}:{version}/draft"
    FINALIZE = _PACKAGES + "/{repository}:{version}/finalize"
    DIGEST = _PACKAGES + "/{repository}@{digest}"
    DIGEST_FILE = _PACKAGES + "/{repository}@{digest}/files/{path}"
    DIGEST_MANIFEST = _PACKAGES + "/{repository}@{digest}/manifest.cbor"
    DIGEST_REFERRERS = _PACKAGES + "/{repository}@{digest}/referrers"
    DIGEST_TAR = _PACKAGES + "/{repository}@{digest}/archive.tar"
    DIGEST_ZIP = _PACKAGES + "/{repository}@{digest}/archive.zip"
    CONTENT = "/api/v1/content/{address}"
    CONTENT_LOCATIONS = "/api/v1/content/{address}/locations"
    CONTENT_RESTORE = "/api/v1/content/{address}/restore"
    SCHEMAS = "/api/v1/schemas"
    SCHEMA = "/api/v1/schemas/{variant}"
    SEARCH = "/api/v1/search"
    EVENTS = "/api/v1/events"
    USAGE = "/api/v1/usage"
    FOLLOWERS = "/api/v1/followers"
    FOLLOWER = "/api/v1/followers/{follower}"
    FOLLOWER_LETTERS = "/api/v1/followers/{follower}/dead-letters"
    FOLLOWER_REDELIVER = "/api/v1/followers/{follower}/redeliver"
    FOLLOWER_SKIP = "/api/v1/followers/{follower}/skip"
    FOLLOWER_SEEK = "/api/v1/followers/{follower}/seek"
    FOLLOWER_STOP = "/api/v1/followers/{follower}/stop"
    FOLLOWER_RESUME = "/api/v1/followers/{follower}/resume"


@dataclass(frozen=True, slots=True)
class Nothing:
    """The path has no variables."""


@dataclass(frozen=True, slots=True)
class UploadName:
    """`id` is a UUID in canonical form."""

    id: str


@dataclass(frozen=True, slots=True)
class RepositoryName:
    repository: Repository


@dataclass(frozen=True, slots=True)
class PackageName:
    """A package by version or by digest; only a version can be written."""

    repository: Repository
    reference: Reference

    @property
    def version(self) -> Tag:
        """The version, on a path that only versions have."""
        if isinstance(self.reference, Digest):
            raise TypeError("this path names a package by digest")
        return self.reference


@dataclass(frozen=True, slots=True)
class FileName:
    """A file of a package. `path` is decoded and not yet checked: the store knows the rules."""

    package: PackageName
    path: str


@dataclass(frozen=True, slots=True)
class ContentName:
    address: Digest


@dataclass(frozen=True, slots=True)
class VariantName:
    """`variant` is decoded and checked."""

    variant: str


@dataclass(frozen=True, slots=True)
class FollowerName:
    """`name` is one that a follower can have."""

    name: str


Name = (
    Nothing | UploadName | RepositoryName | PackageName | FileName | ContentName | VariantName | FollowerName
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a request's path names."""

    resource: Resource
    name: Name
