"""The ledger's vocabulary: what can happen to a store, and the envelope each event is written in (A3).

An event records an outcome, so that replay validates nothing. Its envelope is canonical CBOR of
`{v, seq, time, kind, actor, scope, subject, data}`, at most 65,535 bytes: payloads are named by digest.
`scope` is the repository's name where there is one, `subject` what the event is about. No personal data.
A field that an event type has by default stands in the envelope only where it says something else, so that
events written before the field was thought of read the same, and are still in their one form.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

from registry.contract import cbor
from registry.contract.dataplane import DomainId
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.names import Repository, Tag

ENVELOPE_VERSION = 1
LARGEST_ENVELOPE = 65_535


@dataclass(frozen=True, slots=True)
class RepositoryCreated:
    """A repository exists from now on, in a domain that never changes (decision 5)."""

    KIND: ClassVar[str] = "repository.created"
    SUBJECT: ClassVar[str | None] = None
    repository: Repository
    domain: DomainId


@dataclass(frozen=True, slots=True)
class ContentStored:
    """Bytes are durable in a domain, at a location, under all digests computed in one pass."""

    KIND: ClassVar[str] = "content.stored"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    sha256: Digest
    size: int
    location: str


@dataclass(frozen=True, slots=True)
class ContentNamed:
    """Content got one more digest, because somebody named it by that algorithm."""

    KIND: ClassVar[str] = "content.named"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    digest: Digest


@dataclass(frozen=True, slots=True)
class ContentMissing:
    """A reader or a check found the bytes absent or corrupt; until healed the content answers as absent."""

    KIND: ClassVar[str] = "content.missing"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class ContentHealed:
    """Bytes that were missing are durable again."""

    KIND: ClassVar[str] = "content.healed"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest


@dataclass(frozen=True, slots=True)
class ContentRemoved:
    """Nothing held the content any more: a collection took it. Its absence is legitimate from now on."""

    KIND: ClassVar[str] = "content.removed"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    size: int


@dataclass(frozen=True, slots=True)
class DomainErased:
    """The keys of a sealed domain were destroyed: all that it holds is unreadable, and so it stays.

    The absence of that content is legitimate from now on, in one event whatever there was of it.
    """

    KIND: ClassVar[str] = "domain.erased"
    SUBJECT: ClassVar[str | None] = "domain"
    domain: DomainId


@dataclass(frozen=True, slots=True)
class LocationChanged:
    """A location holds the content, or is of another tier or restore status than before (A7).

    `restore_status` is None when none is under way. `until` is the moment (microseconds) to which restored
    bytes stay at hand, where that is known. The location's name is the configured one, and `local` for the
    one where bytes arrive, whatever medium that is (decision 65).
    """

    KIND: ClassVar[str] = "location.changed"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    location: str
    retrieval_tier: str
    restore_status: str | None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class LocationReleased:
    """A location is no longer to hold the content: another holds it, verified, and these bytes go."""

    KIND: ClassVar[str] = "location.released"
    SUBJECT: ClassVar[str | None] = "blake3"
    domain: DomainId
    blake3: Digest
    location: str


@dataclass(frozen=True, slots=True)
class BlobLinked:
    """A repository has a blob."""

    KIND: ClassVar[str] = "blob.linked"
    SUBJECT: ClassVar[str | None] = "blake3"
    repository: Repository
    blake3: Digest


@dataclass(frozen=True, slots=True)
class BlobUnlinked:
    """A repository no longer has a blob. The bytes stay until collection."""

    KIND: ClassVar[str] = "blob.unlinked"
    SUBJECT: ClassVar[str | None] = "blake3"
    repository: Repository
    blake3: Digest


@dataclass(frozen=True, slots=True)
class ManifestStored:
    """A repository has a manifest. `algorithm` is the one it was first pushed with.

    `package` is the digest of its canonical manifest and `schema_version` the schema its metadata was
    checked against, where it is a native package.
    """

    KIND: ClassVar[str] = "manifest.stored"
    SUBJECT: ClassVar[str | None] = "blake3"
    repository: Repository
    blake3: Digest
    media_type: str
    algorithm: Algorithm
    package: Digest | None
    schema_version: int | None


@dataclass(frozen=True, slots=True)
class ManifestDeleted:
    """A repository no longer has a manifest. Its tags went before it, each with an event of its own."""

    KIND: ClassVar[str] = "manifest.deleted"
    SUBJECT: ClassVar[str | None] = "blake3"
    repository: Repository
    blake3: Digest


@dataclass(frozen=True, slots=True)
class TagSet:
    """A tag points at a manifest, and answers with its digest in `algorithm` (decision 7)."""

    KIND: ClassVar[str] = "tag.set"
    SUBJECT: ClassVar[str | None] = "tag"
    repository: Repository
    tag: Tag
    blake3: Digest
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """A tag is gone; what it pointed at stays."""

    KIND: ClassVar[str] = "tag.deleted"
    SUBJECT: ClassVar[str | None] = "tag"
    repository: Repository
    tag: Tag


@dataclass(frozen=True, slots=True)
class SchemaRegistered:
    """A variant has a JSON Schema; the document is content of the default domain."""

    KIND: ClassVar[str] = "schema.registered"
    SUBJECT: ClassVar[str | None] = "variant"
    variant: str
    version: int
    blake3: Digest


@dataclass(frozen=True, slots=True)
class SchemaRemoved:
    """A variant is no longer checked. Its versions stay readable for the packages that name them."""

    KIND: ClassVar[str] = "schema.removed"
    SUBJECT: ClassVar[str | None] = "variant"
    variant: str


Event = (
    RepositoryCreated
    | ContentStored
    | ContentNamed
    | ContentMissing
    | ContentHealed
    | ContentRemoved
    | DomainErased
    | LocationChanged
    | LocationReleased
    | BlobLinked
    | BlobUnlinked
    | ManifestStored
    | ManifestDeleted
    | TagSet
    | TagDeleted
    | SchemaRegistered
    | SchemaRemoved
)

EVENT_TYPES: dict[str, type[Event]] = {
    kind.KIND: kind
    for kind in (
        RepositoryCreated,
        ContentStored,
        ContentNamed,
        ContentMissing,
        ContentHealed,
        ContentRemoved,
        DomainErased,
        LocationChanged,
        LocationReleased,
        BlobLinked,
        BlobUnlinked,
        ManifestStored,
        ManifestDeleted,
        TagSet,
        TagDeleted,
        SchemaRegistered,
        SchemaRemoved,
    )
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: an event with its place, time (microseconds) and actor (a principal id)."""

    seq: int
    time: int
    actor: str
    event: Event


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    convert: Any
    #: What it is where the envelope does not have it; MISSING where the envelope always has it.
    default: Any


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one event type is written: which field is the scope, which the subject, which the data."""

    scope: str | None
    subject: str | None
    fields: tuple[_Field, ...]


def _shape(kind: type[Event]) -> _Shape:
    hints = get_type_hints(kind)
    fields = []
    for item in dataclasses.fields(kind):
        is_digest = hints[item.name] in (Digest, Digest | None)
        convert = Digest.parse if is_digest else Algorithm if hints[item.name] is Algorithm else None
        fields.append(_Field(item.name, convert, item.default))
    names = {item.name for item in fields}
    return _Shape("repository" if "repository" in names else None, kind.SUBJECT, tuple(fields))


_SHAPES: dict[type[Event], _Shape] = {kind: _shape(kind) for kind in EVENT_TYPES.values()}


def scope_of(event: Event) -> str | None:
    """The repository an event belongs to, by which readers are filtered; None for the store as a whole."""
    return getattr(event, "repository", None)


def encode_entry(entry: Entry) -> bytes:
    """The envelope. Raises StoreError TOO_LARGE beyond 65,535 bytes."""
    shape = _SHAPES[type(entry.event)]
    scope = subject = None
    data: dict[str, Any] = {}
    for item in shape.fields:
        value = getattr(entry.event, item.name)
        if value == item.default:
            continue
        if value is not None and item.convert is not None:
            value = str(value)
        if item.name == shape.scope:
            scope = value
        elif item.name == shape.subject:
            subject = value
        else:
            data[item.name] = value
    envelope = cbor.encode(
        {
            "v": ENVELOPE_VERSION,
            "seq": entry.seq,
            "time": entry.time,
            "kind": entry.event.KIND,
            "actor": entry.actor,
            "scope": scope,
            "subject": subject,
            "data": data,
        }
    )
    if len(envelope) > LARGEST_ENVELOPE:
        raise StoreError(ErrorKind.TOO_LARGE, f"an event is at most {LARGEST_ENVELOPE} bytes")
    return envelope


def decode_envelope(envelope: bytes) -> dict[str, Any]:
    """The envelope as a map, for readers that need no types. Raises what `cbor.decode` raises."""
    document = cbor.decode(envelope)
    if not isinstance(document, dict):
        raise StoreError(ErrorKind.INTERNAL, "a ledger envelope is not a map")
    return document


def decode_entry(envelope: bytes) -> Entry:
    """The inverse of `encode_entry`.

    Raises StoreError INTERNAL for a version or kind this program does not know.
    """
    document = decode_envelope(envelope)
    kind = EVENT_TYPES.get(document["kind"])
    if document["v"] != ENVELOPE_VERSION or kind is None:
        raise StoreError(
            ErrorKind.INTERNAL,
            f"event {document['seq']} is of kind {document['kind']!r}, version {document['v']}: "
            "a newer artifact-store wrote it, use that one",
        )
    shape = _SHAPES[kind]
    values: dict[str, Any] = {}
    for item in shape.fields:
        if item.name == shape.scope:
            value = document["scope"]
        elif item.name == shape.subject:
            value = document["subject"]
        elif item.default is dataclasses.MISSING:
            value = document["data"][item.name]
        else:
            value = document["data"].get(item.name, item.default)
        values[item.name] = value if value is None or item.convert is None else item.convert(value)
    return Entry(document["seq"], document["time"], document["actor"], kind(**values))
