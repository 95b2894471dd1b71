"""Errors as the specification forms them (error codes)."""

from collections.abc import Callable

from ..bench import Bench
from ..digests import digest_of
from ..exchange import Exchange
from ..expect import error_codes, holds, refused, status
from ..manifest import OCI_IMAGE, image
from ..plan import Level
from ..rule import Skip, named, rule

CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED",
    "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    "TAG_INVALID", "MANIFEST_UNVERIFIED",  # from before the specification, and still allowed
}  # fmt: skip
Call = Callable[[Bench], Exchange]


def _unknown_manifest(bench: Bench) -> Exchange:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"), "known")
    return repository.manifest("unknown")


def _unknown_blob(bench: Bench) -> Exchange:
    repository = bench.repository()
    repository.push_blob(b"{}")
    return repository.blob(bench.source.absent())


def _ended_upload(bench: Bench) -> Exchange:
    session, data = bench.repository().begin(), bench.source.blob(10)
    status(session.close(digest_of(data), data), 201)
    return session.ask()


def _out_of_order(bench: Bench) -> Exchange:
    return bench.repository().begin().patch(bench.source.blob(10), 5)


def _wrong_digest(bench: Bench) -> Exchange:
    return bench.repository().begin().close(bench.source.absent(), bench.source.blob(10))


def _malformed_digest(bench: Bench) -> Exchange:
    return bench.repository().begin().close("sha256:abc", bench.source.blob(10))


def _no_manifest(bench: Bench) -> Exchange:
    return bench.repository().put_manifest("bad", OCI_IMAGE, b"no JSON")


def _wrong_manifest_digest(bench: Bench) -> Exchange:
    repository, made = bench.repository(), image(bench.source, "sha256")
    repository.push_content(made)
    return repository.put_manifest(bench.source.absent(), OCI_IMAGE, made.body)


def _delete_unknown(bench: Bench) -> Exchange:
    repository = bench.repository()
    repository.push(image(bench.source, "sha256"), "known")
    return repository.manifest(bench.source.absent(), "DELETE")


def _delete_unknown_blob(bench: Bench) -> Exchange:
    repository = bench.repository()
    repository.push_blob(b"{}")
    return repository.blob(bench.source.absent(), "DELETE")


MISTAKES: dict[str, tuple[Call, set[str]]] = {
    "unknown manifest": (_unknown_manifest, {"MANIFEST_UNKNOWN"}),
    "manifest of an unknown repository": (
        lambda bench: bench.repository().manifest("latest"),
        {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"},
    ),
    "unknown blob": (_unknown_blob, {"BLOB_UNKNOWN"}),
    "blob of an unknown repository": (
        lambda bench: bench.repository().blob(bench.source.absent()),
        {"NAME_UNKNOWN", "BLOB_UNKNOWN"},
    ),
    "tags of an unknown repository": (lambda bench: bench.repository().tags(), {"NAME_UNKNOWN"}),
    "upload that ended": (_ended_upload, {"BLOB_UPLOAD_UNKNOWN"}),
    "chunk out of order": (_out_of_order, CODES),  # none is made for it
    "wrong digest": (_wrong_digest, {"DIGEST_INVALID"}),
    "malformed digest": (_malformed_digest, {"DIGEST_INVALID"}),
    "no manifest": (_no_manifest, {"MANIFEST_INVALID"}),
    "wrong digest of a manifest": (_wrong_manifest_digest, {"DIGEST_INVALID", "MANIFEST_INVALID"}),
    "deleting an unknown manifest": (_delete_unknown, {"MANIFEST_UNKNOWN", "UNSUPPORTED"}),
    "deleting an unknown blob": (_delete_unknown_blob, {"BLOB_UNKNOWN", "UNSUPPORTED"}),
}


@rule(
    "errors",
    "error-codes",
    Level.MUST,
    "a 4xx body that is JSON has the form and the codes of the specification",
    named(MISTAKES),
)
def envelope(bench: Bench, mistake: tuple[Call, set[str]]) -> None:
    answer = refused(mistake[0](bench), "a mistake")
    codes = error_codes(answer)
    holds(answer, set(codes) <= CODES, f"codes of the specification, not {', '.join(set(codes) - CODES)}")


@rule("errors", "error-codes", Level.SHOULD, "the code says what is wrong", named(MISTAKES))
def code(bench: Bench, mistake: tuple[Call, set[str]]) -> None:
    answer = refused(mistake[0](bench), "a mistake")
    codes = error_codes(answer)
    if not codes:
        raise Skip("the body of the error is not JSON, as it may be")
    holds(answer, bool(set(codes) & mistake[1]), f"{' or '.join(sorted(mistake[1]))} among the errors")


@rule(
    "errors",
    "error-codes",
    Level.TRAP,
    "an error's body is JSON, so that clients can show it",
    named(MISTAKES),
)
def is_json(bench: Bench, mistake: tuple[Call, set[str]]) -> None:
    answer = refused(mistake[0](bench), "a mistake")
    holds(answer, bool(error_codes(answer)), "a JSON body with errors")
