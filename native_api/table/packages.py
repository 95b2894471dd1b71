"""Rows of packages: lists, reading by version and by digest, making, deleting."""

from __future__ import annotations

from native_api.resources import Resource
from native_api.table.operation import JSON, Answer, Body, Operation, Parameter
from native_api.table.parts import (
    IF_ABSENT,
    IF_MATCH,
    IF_NONE_MATCH,
    NOT_MODIFIED,
    PACKAGE_BODY,
    PACKAGE_WRITE,
    RANGE,
    READ_BYTES,
    byte_answers,
    document,
    listing,
    package_made,
)
from registry.contract.errors import ErrorKind

_ARCHIVE = frozenset(
    {
        ErrorKind.PACKAGE_UNKNOWN,
        ErrorKind.BLOB_UNKNOWN,
        ErrorKind.CONTENT_UNKNOWN,
        ErrorKind.RESTORE_REQUIRED,
        ErrorKind.ERASED,
    }
)


def _package_reads(suffix: str, resources: tuple[Resource, ...]) -> tuple[Operation, ...]:
    """What can be read of a package, whether it is named by version or by digest."""
    whole, file, manifest, referrers, tar, zipped = resources
    archive = (
        "The files by their relative paths, streamed; the same package gives the same bytes. An error midway "
        "ends the connection, so that a short archive is never taken for a whole one."
    )
    return (
        Operation(
            f"getPackage{suffix}",
            "GET",
            whole,
            "A package",
            (document(200, "The package.", "Package", "ETag"), NOT_MODIFIED),
            parameters=(IF_NONE_MATCH,),
            kinds=frozenset(
                {
                    ErrorKind.PACKAGE_UNKNOWN,
                    ErrorKind.NOT_ACCEPTABLE,
                    ErrorKind.RESTORE_REQUIRED,
                    ErrorKind.ERASED,
                }
            ),
        ),
        Operation(
            f"getPackageFile{suffix}",
            "GET",
            file,
            "One file of a package",
            byte_answers("*/*"),
            parameters=(RANGE, IF_NONE_MATCH),
            kinds=READ_BYTES | {ErrorKind.PACKAGE_UNKNOWN, ErrorKind.FILE_UNKNOWN, ErrorKind.CONTENT_UNKNOWN},
        ),
        Operation(
            f"getCanonicalManifest{suffix}",
            "GET",
            manifest,
            "The canonical CBOR manifest; its BLAKE3 is the package digest",
            byte_answers("application/cbor"),
            parameters=(RANGE, IF_NONE_MATCH),
            kinds=READ_BYTES | {ErrorKind.PACKAGE_UNKNOWN, ErrorKind.CONTENT_UNKNOWN},
        ),
        listing(
            f"listReferrers{suffix}",
            referrers,
            "What refers to the package: signatures, attestations, attachments",
            "ReferrerPage",
            Parameter("artifact_type", {"type": "string", "minLength": 1}, "Only those of this type."),
            kinds=frozenset({ErrorKind.PACKAGE_UNKNOWN}),
        ),
        Operation(
            f"getTar{suffix}",
            "GET",
            tar,
            "All files as a tar archive",
            (Answer(200, "The archive.", ("application/x-tar",), None, ("ETag",)), NOT_MODIFIED),
            description=archive,
            parameters=(IF_NONE_MATCH,),
            kinds=_ARCHIVE,
        ),
        Operation(
            f"getZip{suffix}",
            "GET",
            zipped,
            "All files as a zip archive, stored without compression",
            (Answer(200, "The archive.", ("application/zip",), None, ("ETag",)), NOT_MODIFIED),
            description=archive,
            parameters=(IF_NONE_MATCH,),
            kinds=_ARCHIVE,
        ),
    )


PACKAGES: tuple[Operation, ...] = (
    listing("listPackages", Resource.PACKAGES, "Every version of every repository", "PackagePage"),
    listing(
        "listVersions",
        Resource.VERSIONS,
        "The versions of one repository",
        "PackagePage",
        kinds=frozenset({ErrorKind.REPOSITORY_UNKNOWN}),
    ),
    Operation(
        "putPackage",
        "PUT",
        Resource.VERSION,
        "Make a package of stored content, or promote one",
        package_made(),
        parameters=(IF_MATCH, IF_ABSENT),
        body=Body((JSON,), PACKAGE_BODY),
        kinds=PACKAGE_WRITE | {ErrorKind.PACKAGE_UNKNOWN},
    ),
    Operation(
        "deletePackage",
        "DELETE",
        Resource.VERSION,
        "Remove a version, and its manifest when nothing else reaches it",
        (Answer(202, "The version is gone; its bytes go when nothing needs them."),),
        kinds=frozenset({ErrorKind.PACKAGE_UNKNOWN, ErrorKind.IN_USE, ErrorKind.HELD}),
    ),
    *_package_reads(
        "",
        (
            Resource.VERSION,
            Resource.VERSION_FILE,
            Resource.VERSION_MANIFEST,
            Resource.VERSION_REFERRERS,
            Resource.VERSION_TAR,
            Resource.VERSION_ZIP,
        ),
    ),
    *_package_reads(
        "ByDigest",
        (
            Resource.DIGEST,
            Resource.DIGEST_FILE,
            Resource.DIGEST_MANIFEST,
            Resource.DIGEST_REFERRERS,
            Resource.DIGEST_TAR,
            Resource.DIGEST_ZIP,
        ),
    ),
)
