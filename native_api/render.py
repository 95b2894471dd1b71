"""Values of the contract as JSON: RFC 3339 times with microseconds, digests as text, links as paths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any, TypeVar

from native_api import links
from registry.contract.dataplane import Content, Location, RestoreStatus
from registry.contract.digest import Digest
from registry.contract.event_json import event_document
from registry.contract.manifest import Descriptor
from registry.contract.model import (
    DeadLetter,
    Draft,
    FileEntry,
    FollowerStatus,
    LedgerEvent,
    Package,
    PackageSummary,
    Page,
    RegisteredSchema,
    RepositoryUsage,
    StoreUsage,
    Upload,
)
from registry.contract.names import Reference, Repository, Tag
from registry.contract.timestamps import rfc3339 as time

Document = dict[str, Any]
T = TypeVar("T")


def encode(document: object) -> bytes:
    """UTF-8 JSON without spare bytes, for people on a terminal ended by a newline."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def http_date(micros: int) -> str:
    """RFC 9110 section 5.6.7, in whole seconds."""
    return formatdate(micros // 1_000_000, usegmt=True)


def page(items: Iterable[Document], following: str | None) -> Document:
    return {"items": list(items), "next": following}


def page_of(found: Page[T], render: Callable[[T], Document]) -> Document:
    return page(map(render, found.items), found.next)


def upload(value: Upload) -> Document:
    own = links.upload(value.id)
    return {
        "id": value.id,
        "repository": value.repository,
        "offset": value.offset,
        "size": value.size,
        "expires_at": time(value.expires_at),
        "content": content(value.content) if value.content else None,
        "links": {"self": own, "complete": f"{own}/complete"},
    }


def content(value: Content) -> Document:
    own = links.content(value.blake3)
    return {
        "content_address": str(value.blake3),
        "digests": {digest.algorithm.value: str(digest) for digest in value.digests},
        "size": value.size,
        "links": {"self": own, "locations": f"{own}/locations"},
    }


def package(value: Package, reference: Reference) -> Document:
    """`reference` is how the caller named it; links to what never changes go by digest."""
    repository, digest = value.repository, value.manifest_digest
    related = {
        "self": links.package(repository, reference),
        "immutable": links.package(repository, digest),
        "referrers": links.package_part(repository, digest, "referrers"),
        "archive": links.package_part(repository, digest, "archive.tar"),
        "archive_zip": links.package_part(repository, digest, "archive.zip"),
        "oci": links.oci_manifest(repository, reference),
    }
    if value.package_digest is not None:
        related["manifest"] = links.package_part(repository, digest, "manifest.cbor")
    return {
        "repository": repository,
        "version": None if isinstance(reference, Digest) else reference,
        "versions": list(value.versions),
        "package_digest": _digest(value.package_digest),
        "manifest_digest": str(digest),
        "media_type": value.media_type,
        "artifact_type": value.artifact_type,
        "variant": value.variant,
        "schema_version": value.schema_version,
        "metadata": dict(value.metadata) if value.metadata is not None else None,
        "labels": dict(value.labels),
        "files": [
            file(entry, links.package_file(repository, digest, entry.relative_path)) for entry in value.files
        ],
        "children": [descriptor(child, repository) for child in value.children],
        "subject": str(value.subject.digest) if value.subject else None,
        "created_at": time(value.created_at),
        "links": related,
    }


def file(entry: FileEntry, link: str | None = None) -> Document:
    """`link` is where the file can be read; None in a draft, which nobody reads."""
    related = {"content": links.content(entry.digest)}
    if link is not None:
        related["self"] = link
    return {
        "relative_path": entry.relative_path,
        "content_address": str(entry.digest),
        "size": entry.size,
        "media_type": entry.media_type,
        "links": related,
    }


def descriptor(value: Descriptor, repository: Repository, tag: Tag | None = None) -> Document:
    """A manifest of `repository`; `tag` where it was found by one."""
    return {
        "media_type": value.media_type,
        "digest": str(value.digest),
        "size": value.size,
        "artifact_type": value.artifact_type,
        "annotations": dict(value.annotations),
        "tag": tag,
        "links": {
            "self": links.package(repository, value.digest),
            "oci": links.oci_manifest(repository, value.digest),
        },
    }


def summary(value: PackageSummary) -> Document:
    reference: Reference = value.manifest_digest if value.version is None else value.version
    return {
        "repository": value.repository,
        "version": value.version,
        "package_digest": _digest(value.package_digest),
        "manifest_digest": str(value.manifest_digest),
        "artifact_type": value.artifact_type,
        "variant": value.variant,
        "created_at": time(value.created_at),
        "links": {"self": links.package(value.repository, reference)},
    }


def draft(value: Draft) -> Document:
    own = links.package_part(value.repository, value.version, "draft")
    return _draft_head(value) | {
        "files": [file(entry) for entry in value.files],
        "links": {"self": own, "finalize": links.package_part(value.repository, value.version, "finalize")},
    }


def draft_file(value: Draft) -> Document:
    """A draft that lists the one file that was just put into it."""
    (entry,) = value.files
    own = links.package_part(value.repository, value.version, "draft")
    return _draft_head(value) | {
        "file": file(entry),
        "links": {"draft": own, "finalize": links.package_part(value.repository, value.version, "finalize")},
    }


def _draft_head(value: Draft) -> Document:
    return {
        "repository": value.repository,
        "version": value.version,
        "expires_at": time(value.expires_at),
    }


def location(value: Location) -> Document:
    return {
        "name": value.name,
        "retrieval_tier": value.tier.value,
        "restore_status": value.restore_status.value if value.restore_status else None,
        "available_until": time(value.until) if value.until is not None else None,
    }


def restore(address: Digest, status: RestoreStatus) -> Document:
    own = links.content(address)
    return {
        "content_address": str(address),
        "restore_status": status.value,
        "links": {"content": own, "locations": f"{own}/locations"},
    }


def schema(value: RegisteredSchema) -> Document:
    own = links.schema(value.variant)
    return {
        "variant": value.variant,
        "version": value.version,
        "digest": str(value.digest),
        "schema": value.document,
        "created_at": time(value.created_at),
        "links": {"self": own, "this_version": f"{own}?version={value.version}"},
    }


def event(value: LedgerEvent) -> Document:
    return event_document(value)


def follower(value: FollowerStatus) -> Document:
    own = links.follower(value.name)
    return {
        "name": value.name,
        "target": value.target,
        "configured": value.configured,
        "state": value.state,
        "cursor": value.cursor,
        "lag_events": value.lag_events,
        "lag_seconds": value.lag_seconds,
        "delivered": value.delivered,
        "delivered_at": _time(value.delivered_at),
        "failures": value.failures,
        "failing": value.failing,
        "failing_since": _time(value.failing_since),
        "attempts": value.attempts,
        "next_attempt_at": _time(value.next_attempt_at),
        "reason": value.reason,
        "dead_letters": value.dead_letters,
        "queued": value.queued,
        "links": {"self": own, "dead_letters": f"{own}/dead-letters"},
    }


def dead_letter(value: DeadLetter) -> Document:
    return {
        "seq": value.seq,
        "kind": value.kind,
        "scope": value.scope,
        "died_at": time(value.died_at),
        "attempts": value.attempts,
        "reason": value.reason,
        "queued": value.queued,
    }


def usage(value: StoreUsage) -> Document:
    return {
        "logical": value.logical,
        "physical": value.physical,
        "objects": value.objects,
        "repositories": page_of(value.repositories, _repository_usage),
    }


def _repository_usage(value: RepositoryUsage) -> Document:
    return {
        "repository": value.repository,
        "logical": value.logical,
        "exclusive": value.exclusive,
        "objects": value.objects,
    }


def _time(micros: int | None) -> str | None:
    return time(micros) if micros is not None else None


def _digest(value: Digest | None) -> str | None:
    return str(value) if value is not None else None
