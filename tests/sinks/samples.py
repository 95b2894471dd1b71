"""Events to deliver, as a ledger would have them."""

from __future__ import annotations

from registry.contract.cloudevents import CloudEvent, cloud_event
from registry.contract.digest import Algorithm, Digest
from registry.contract.events import Entry, TagSet, encode_entry
from registry.contract.names import Repository, Tag
from registry.control.ledger import read_event

SOURCE = "urn:uuid:00000000-0000-8000-8000-000000000001"
ADDRESS = Digest.of(b"manifest", Algorithm.BLAKE3)


def envelope(seq: int, tag: str = "v1", repository: str = "team/my.app") -> bytes:
    event = TagSet(Repository(repository), Tag(tag), ADDRESS, Algorithm.SHA256)
    return encode_entry(Entry(seq, 1_700_000_000_000_000 + seq, "actor-id", event))


def sample(seq: int, tag: str = "v1", repository: str = "team/my.app") -> CloudEvent:
    return cloud_event(read_event(envelope(seq, tag, repository)), SOURCE)


def samples(first: int, last: int) -> list[CloudEvent]:
    return [sample(seq) for seq in range(first, last + 1)]
