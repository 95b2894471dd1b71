"""`gc --explain`: in words, what holds a digest, or why it will go and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Digest
from registry.contract.names import Repository
from registry.control import retention
from registry.control.core import SECOND, Core
from registry.control.sql import Connection, explanation
from registry.control.sql.explanation import Content, InRepository, Leaving
from registry.control.sql.lookups import ERASED, MISSING
from registry.control.sql.removals import DONE, FAILED, REMOVING

#: Indexes inside indexes, as far as they are told.
_DEEPEST = 4


_GONE = {
    MISSING: "; its bytes are missing, a push heals it",
    ERASED: "; it was erased with the keys of its domain, and its row stays to say so",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`held` is whether anything keeps the content; None when the store has none of that digest."""

    held: bool | None
    lines: tuple[str, ...]


async def explain(core: Core, digest: Digest) -> Explanation:
    """Look at everything that touches the digest, on one snapshot."""
    now = core.clock.now()

    def query(connection: Connection) -> Explanation:
        found = explanation.contents(connection, digest)
        leaving = explanation.leaving(connection, digest)
        lines: list[str] = []
        held = False
        for content in found:
            holders = list(_holders(core, connection, content, now))
            lines.append(_heading(content))
            lines.extend(f"  {holder}" for holder in holders)
            lines.extend(f"  {link}" for link in _loose_links(connection, content))
            held = held or bool(holders) or content.state == ERASED
            if not holders and content.state != ERASED:
                lines.append("  nothing holds it: it goes with the next collection")
        lines.extend(_leaving(removal, now) for removal in leaving)
        if not found:
            lines.append(f"the store has no content {digest}")
        return Explanation(held if found else None, tuple(lines))

    return await core.database.read(query)


def _heading(content: Content) -> str:
    missing = _GONE.get(content.state, "")
    return (
        f"content {content.address} in domain {content.domain}, {content.size} bytes, "
        f"since {_when(content.created_at)}{missing}"
    )


def _holders(core: Core, connection: Connection, content: Content, now: int) -> Iterator[str]:
    for link in explanation.links(connection, content.id):
        yield from _in_repository(core, connection, content, link)
    young = content.created_at + core.limits.content_hold
    until = max(explanation.leased_until(connection, content, now) or 0, young)
    if until > now:
        why = "it arrived" if until == young else "somebody was told that it is here, or what named it went,"
        yield f"it is leased until {_when(until)}, since {why} not long ago"
    for repository, version in explanation.drafts(connection, content):
        yield f"the draft {repository}:{version} has it as a file"
    for upload in explanation.uploads(connection, content):
        yield f"the completed upload {upload} still answers with it"
    if content.domain == DEFAULT_DOMAIN:
        for variant, number in explanation.schemas(connection, content):
            yield f"it is the schema of {variant}, version {number}"


def _loose_links(connection: Connection, content: Content) -> Iterator[str]:
    for link in explanation.links(connection, content.id):
        if link.manifest_id is None and not explanation.namers(connection, link.repository_id, content.id):
            yield f"{link.repository} has it as a blob, and no manifest of it names it"


def _in_repository(core: Core, connection: Connection, content: Content, link: InRepository) -> Iterator[str]:
    if link.manifest_id is not None:
        why = _why_manifest(core, connection, link.repository, link.manifest_id)
        yield f"{link.repository} has it as a manifest: {why}"
    yield from _chains(connection, link, content.id, "it", _DEEPEST)


def _chains(connection: Connection, link: InRepository, blob_id: int, what: str, depth: int) -> Iterator[str]:
    """One line for each manifest that names it, and for each index above that."""
    for namer in explanation.namers(connection, link.repository_id, blob_id):
        names = explanation.tags(connection, namer.id)
        tagged = f", tagged {', '.join(names)}" if names else ", untagged"
        yield f"{link.repository}: {what} is named by the manifest {namer.digest}{tagged}"
        if depth > 1 and namer.blob_id != blob_id:
            yield from _chains(connection, link, namer.blob_id, namer.digest, depth - 1)


def _why_manifest(core: Core, connection: Connection, repository: str, manifest_id: int) -> str:
    names = explanation.tags(connection, manifest_id)
    if names:
        return f"tagged {', '.join(names)}"
    subject = explanation.subject(connection, manifest_id)
    refers = f" that refers to {subject}" if subject else ""
    waits = retention.untagged_after(core, Repository(repository))
    since = explanation.untagged_since(connection, manifest_id)
    if waits is None or since is None:
        return f"an untagged one{refers}, which stays until it is deleted"
    return f"an untagged one{refers} that nothing needs, to be deleted after {_when(since + waits)}"


def _leaving(removal: Leaving, now: int) -> str:
    what = f"bytes of {removal.address} in domain {removal.domain}, {removal.size} in number,"
    if removal.state == DONE:
        return f"{what} have been deleted"
    if removal.state == REMOVING:
        return f"{what} are being deleted now"
    why = "that a collection has removed" if removal.generation else "that no row names"
    if removal.state == FAILED:
        why += ", and could not delete" if removal.generation else ", and that could not be deleted"
    after = "with the next run" if removal.due_at <= now else f"after {_when(removal.due_at)}"
    return f"{what} {why}, are deleted {after}"


def _when(time: int) -> str:
    """Microseconds since the epoch as people read it."""
    return datetime.fromtimestamp(time / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
