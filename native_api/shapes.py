"""The JSON documents of the API as JSON Schema 2020-12: what is taken, what is answered.

One dictionary serves three readers: `bodies` checks requests by it, the OpenAPI document shows it, and the
tests hold the answers against it.
"""

from __future__ import annotations

from typing import Any

from registry.contract.errors import ErrorKind

Schema = dict[str, Any]

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
_DIGEST = "(?:(?:blake3|sha256):[0-9a-f]{64}|sha512:[0-9a-f]{128})"

REPOSITORY: Schema = {
    "type": "string",
    "pattern": f"^{_COMPONENT}(?:/{_COMPONENT})*$",
    "maxLength": 255,
    "description": "An OCI repository name.",
    "examples": ["team/reports"],
}
VERSION: Schema = {"type": "string", "pattern": f"^{_TAG}$", "description": "An OCI tag.", "examples": ["v1"]}
DIGEST: Schema = {
    "type": "string",
    "pattern": f"^{_DIGEST}$",
    "description": "blake3, sha256 or sha512 and lower-case hex.",
}
SIZE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1, "description": "Bytes."}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, with microseconds."}
UUID: Schema = {"type": "string", "format": "uuid"}
VARIANT: Schema = {
    "type": "string",
    "pattern": "^(?![Aa][Rr][Tt][Ii][Ff][Aa][Cc][Tt]-[Ss][Tt][Oo][Rr][Ee]\\.)"
    "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,99}$",
    "description": "A kind of package, such as guide-board.run.v1; a media subtype.",
}
MEDIA_TYPE: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$",
    "description": "A media type without parameters.",
}
#: A necessary condition only; the store has the whole rule (segments, bytes of UTF-8, collisions).
RELATIVE_PATH: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "pattern": r"^(?!.*[^/]{256})(?!/)(?![A-Za-z]:)(?!\.{1,2}(?:/|$))(?!.*/\.{0,2}(?:/|$))"
    r"[^\\\u0000-\u001f\u007f-\u009f]+$",
    "description": "Segments parted by '/', no '.', no '..', no control character, no backslash; at most "
    "1,024 bytes of UTF-8, 255 in a segment.",
}
SEQ: Schema = {
    "type": "integer",
    "minimum": 1,
    "maximum": 2**53 - 1,
    "description": "Place in the ledger.",
}
FOLLOWER: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
    "description": "A follower's name, as it is set.",
}
PATH: Schema = {"type": "string", "pattern": "^/", "description": "A path on this server, percent-encoded."}


def ref(name: str) -> Schema:
    """A reference to one of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    """An object with these members and no others."""
    members = required | (optional or {})
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def page_of(name: str) -> Schema:
    """A list as all lists are: items, and what `after` must be for the next page."""
    return closed(
        {
            "items": {"type": "array", "items": ref(name)},
            "next": nullable(
                {"type": "string", "description": "`after` of the next page; null on the last."}
            ),
        }
    )


_LABELS: Schema = {
    "type": "object",
    "maxProperties": 256,
    "propertyNames": {
        "minLength": 1,
        "maxLength": 256,
        "pattern": r"^(?!dev\.artifact-store\.)[^\u0000-\u001f\u007f-\u009f]*$",
    },
    "additionalProperties": {"type": "string", "maxLength": 4096, "pattern": r"^[^\u0000]*$"},
    "description": "Text by key; annotations of the OCI manifest.",
}
_METADATA: Schema = {
    "type": "object",
    "description": "Open JSON, at most 1 MiB as canonical CBOR; checked when the variant has a schema.",
}
_NEW_FILE = closed({"relative_path": RELATIVE_PATH, "content_address": DIGEST}, {"media_type": MEDIA_TYPE})
_NEW_PACKAGE: dict[str, Schema] = {
    "variant": nullable(VARIANT),
    "metadata": _METADATA,
    "labels": _LABELS,
    "subject": nullable(DIGEST) | {"description": "Any digest of a manifest that the repository has."},
}
_NEW_FILES: Schema = {"type": "array", "items": ref("NewFile"), "maxItems": 100_000}

_COUNT: Schema = {"type": "integer", "minimum": 0}
_LINKS: Schema = {"type": "object", "additionalProperties": PATH}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_ANY_TEXT: Schema = {"type": "string"}
#: Foreign artifacts carry what their producers wrote, so answers are wider than requests.
_FOREIGN_TYPE: Schema = nullable(_ANY_TEXT)

#: Request bodies, by name.
REQUESTS: dict[str, Schema] = {
    "NewUpload": closed({}, {"size": SIZE, "digest": DIGEST, "repository": REPOSITORY}),
    "CompleteUpload": closed({}, {"digest": DIGEST}),
    "Redelivery": closed({}, {"seqs": {"type": "array", "items": SEQ, "minItems": 1, "maxItems": 1000}}),
    "Seek": closed({"after": SEQ | {"minimum": 0, "description": "0 for the ledger's beginning."}}),
    "NewFile": _NEW_FILE,
    "NewPackage": closed({"files": _NEW_FILES}, _NEW_PACKAGE),
    "FinishedPackage": closed({}, {**_NEW_PACKAGE, "files": _NEW_FILES}),
    "Promotion": closed(
        {
            "from": {
                "type": "string",
                "pattern": f"^{_COMPONENT}(?:/{_COMPONENT})*@{_DIGEST}$",
                "description": "`repository@digest` of a package the caller can read; no bytes move.",
            }
        }
    ),
}

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _ANY_TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _ANY_TEXT,
        "kind": {"type": "string", "enum": [kind.value for kind in ErrorKind]},
        "errors": {
            "type": "array",
            "items": closed(
                {
                    "path": {"type": "string", "description": "JSON Pointer into the body."},
                    "message": _ANY_TEXT,
                }
            ),
        },
        "offset": {**SIZE, "description": "Where the upload stands."},
        "size": SIZE,
        "used_by": {"type": "array", "items": _ANY_TEXT},
    },
    "required": ["type", "title", "status", "detail", "kind", "errors"],
    "description": "RFC 9457.",
}

#: Answers, by name.
ANSWERS: dict[str, Schema] = {
    "Problem": _PROBLEM,
    "Index": closed({"name": _ANY_TEXT, "links": _LINKS}),
    "Upload": closed(
        {
            "id": UUID,
            "repository": nullable(REPOSITORY),
            "offset": SIZE,
            "size": nullable(SIZE),
            "expires_at": TIME,
            "content": nullable(ref("Content")),
            "links": _LINKS,
        }
    ),
    "Content": closed(
        {
            "content_address": DIGEST,
            "digests": closed({"blake3": DIGEST, "sha256": DIGEST}, {"sha512": DIGEST}),
            "size": SIZE,
            "links": _LINKS,
        }
    ),
    "File": closed(
        {
            "relative_path": _ANY_TEXT,
            "content_address": DIGEST,
            "size": SIZE,
            "media_type": _ANY_TEXT,
            "links": _LINKS,
        }
    ),
    "Descriptor": closed(
        {
            "media_type": _ANY_TEXT,
            "digest": DIGEST,
            "size": SIZE,
            "artifact_type": _FOREIGN_TYPE,
            "annotations": _TEXTS,
            "tag": nullable(VERSION),
            "links": _LINKS,
        }
    ),
    "Package": closed(
        {
            "repository": REPOSITORY,
            "version": nullable(VERSION),
            "versions": {"type": "array", "items": VERSION},
            "package_digest": nullable(DIGEST),
            "manifest_digest": DIGEST,
            "media_type": _ANY_TEXT,
            "artifact_type": _FOREIGN_TYPE,
            "variant": _FOREIGN_TYPE,
            "schema_version": nullable({"type": "integer", "minimum": 1}),
            "metadata": nullable({"type": "object"}),
            "labels": _TEXTS,
            "files": {"type": "array", "items": ref("File")},
            "children": {"type": "array", "items": ref("Descriptor")},
            "subject": nullable(DIGEST),
            "created_at": TIME,
            "links": _LINKS,
        },
        description="Of artifacts that came over /v2/ in a form of their own, package_digest, variant, "
        "schema_version and metadata are null.",
    ),
    "PackageSummary": closed(
        {
            "repository": REPOSITORY,
            "version": nullable(VERSION),
            "package_digest": nullable(DIGEST),
            "manifest_digest": DIGEST,
            "artifact_type": _FOREIGN_TYPE,
            "variant": _FOREIGN_TYPE,
            "created_at": TIME,
            "links": _LINKS,
        }
    ),
    "Draft": closed(
        {
            "repository": REPOSITORY,
            "version": VERSION,
            "expires_at": TIME,
            "files": {"type": "array", "items": ref("File")},
            "links": _LINKS,
        }
    ),
    "DraftFile": closed(
        {
            "repository": REPOSITORY,
            "version": VERSION,
            "expires_at": TIME,
            "file": ref("File"),
            "links": _LINKS,
        }
    ),
    "Location": closed(
        {
            "name": _ANY_TEXT,
            "retrieval_tier": {"type": "string", "enum": ["hot", "warm", "cold", "archive"]},
            "restore_status": nullable(ref("RestoreStatus")),
            "available_until": nullable(TIME),
        }
    ),
    "RestoreStatus": {"type": "string", "enum": ["requested", "ongoing", "available"]},
    "Restore": closed({"content_address": DIGEST, "restore_status": ref("RestoreStatus"), "links": _LINKS}),
    "RegisteredSchema": closed(
        {
            "variant": _ANY_TEXT,
            "version": {"type": "integer", "minimum": 1},
            "digest": DIGEST,
            "schema": {"type": ["object", "boolean"]},
            "created_at": TIME,
            "links": _LINKS,
        }
    ),
    "Event": closed(
        {
            "seq": {"type": "integer", "minimum": 1},
            "time": TIME,
            "kind": _ANY_TEXT,
            "actor": _ANY_TEXT,
            "scope": nullable(_ANY_TEXT),
            "subject": nullable(_ANY_TEXT),
            "data": {"type": "object"},
        }
    ),
    "RepositoryUsage": closed(
        {
            "repository": REPOSITORY,
            "logical": SIZE,
            "exclusive": SIZE,
            "objects": {"type": "integer", "minimum": 0},
        }
    ),
    "Usage": closed(
        {
            "logical": SIZE,
            "physical": SIZE,
            "objects": {"type": "integer", "minimum": 0},
            "repositories": page_of("RepositoryUsage"),
        }
    ),
    "Follower": closed(
        {
            "name": _ANY_TEXT,
            "target": _ANY_TEXT,
            "configured": {"type": "boolean"},
            "state": {"type": "string", "enum": ["delivering", "retrying", "stopped"]},
            "cursor": _COUNT,
            "lag_events": _COUNT,
            "lag_seconds": {"type": "number", "minimum": 0},
            "delivered": _COUNT,
            "delivered_at": nullable(TIME),
            "failures": _COUNT,
            "failing": nullable(SEQ),
            "failing_since": nullable(TIME),
            "attempts": _COUNT,
            "next_attempt_at": nullable(TIME),
            "reason": nullable(_ANY_TEXT),
            "dead_letters": _COUNT,
            "queued": _COUNT,
            "links": _LINKS,
        }
    ),
    "DeadLetter": closed(
        {
            "seq": SEQ,
            "kind": _ANY_TEXT,
            "scope": nullable(_ANY_TEXT),
            "died_at": TIME,
            "attempts": _COUNT,
            "reason": _ANY_TEXT,
            "queued": {"type": "boolean"},
        }
    ),
    "FollowerPage": page_of("Follower"),
    "DeadLetterPage": page_of("DeadLetter"),
    "PackagePage": page_of("PackageSummary"),
    "ReferrerPage": page_of("Descriptor"),
    "LocationPage": page_of("Location"),
    "SchemaPage": page_of("RegisteredSchema"),
    "EventPage": page_of("Event"),
}

COMPONENTS: dict[str, Schema] = {**REQUESTS, **ANSWERS}
