"""Entries of the ledger as CloudEvents: each attribute, and the example that the README shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from registry.contract.cloudevents import (
    TYPE_PREFIX,
    binary,
    cloud_event,
    source_of,
    structured,
)
from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Algorithm, Digest
from registry.contract.events import (
    EVENT_TYPES,
    ContentStored,
    Entry,
    Event,
    ManifestDeleted,
    RepositoryCreated,
    SchemaRemoved,
    TagSet,
    encode_entry,
)
from registry.contract.names import Repository, Tag
from registry.contract.tlog.merkle import leaf_hash
from registry.control.ledger import read_event

README = Path(__file__).resolve().parents[2] / "README.md"
ADDRESS = Digest.of(b"manifest", Algorithm.BLAKE3)
SHA256 = Digest.of(b"manifest", Algorithm.SHA256)
APP = Repository("evidence/run")
SET = TagSet(APP, Tag("42"), ADDRESS, Algorithm.SHA256)


def envelope(event: Event, seq: int = 17) -> bytes:
    return encode_entry(Entry(seq, 1_763_836_980_000_125, "5b1f5c0e-8a4e-4f0e-9f55-1f6a2f0a3c11", event))


def test_the_readmes_example_is_what_is_sent() -> None:
    first = envelope(RepositoryCreated(APP, DEFAULT_DOMAIN), 1)
    event = cloud_event(read_event(envelope(SET)), source_of(first))
    text = README.read_text(encoding="utf-8").partition("<!-- cloudevent -->")[2]
    shown = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert json.loads(shown[1]) == json.loads(structured(event))


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        (SET, "evidence/run:42"),
        (ManifestDeleted(APP, ADDRESS), f"evidence/run@{ADDRESS}"),
        (RepositoryCreated(APP, DEFAULT_DOMAIN), "evidence/run"),
        (ContentStored(DEFAULT_DOMAIN, ADDRESS, SHA256, 8, "local"), str(ADDRESS)),
        (SchemaRemoved("run.v1"), "run.v1"),
    ],
)
def test_the_subject_names_what_it_is_about(event: Event, subject: str) -> None:
    made = cloud_event(read_event(envelope(event)), "urn:x")
    assert made.subject == subject
    assert made.type == TYPE_PREFIX + event.KIND
    assert json.loads(structured(made))["data"]["kind"] == event.KIND


def test_every_kind_of_event_has_a_type_that_subjects_of_brokers_can_hold() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", kind) for kind in EVENT_TYPES)


def test_an_id_is_the_same_each_time_and_belongs_to_one_ledger() -> None:
    event = read_event(envelope(SET))
    assert cloud_event(event, "urn:x").id == cloud_event(event, "urn:y").id
    assert cloud_event(event, "urn:x").id == f"17-{leaf_hash(envelope(SET)).hex()[:32]}"
    other = read_event(envelope(TagSet(APP, Tag("43"), ADDRESS, Algorithm.SHA256)))
    assert cloud_event(other, "urn:x").id != cloud_event(event, "urn:x").id, "the same seq of another ledger"
    assert "." not in cloud_event(event, "urn:x").id, "Standard Webhooks parts by full stops"


def test_the_order_of_sequences_as_text_is_that_of_the_ledger() -> None:
    sequences = [cloud_event(read_event(envelope(SET, seq)), "urn:x").sequence for seq in (9, 10, 99, 10**9)]
    assert sequences == sorted(sequences)


def test_the_name_of_a_ledger_is_a_uuid_of_version_8() -> None:
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", source_of(b"first")
    )


def test_binary_mode_has_the_envelope_as_it_is_and_the_attributes_as_headers() -> None:
    headers, body = binary(cloud_event(read_event(envelope(SET)), 'urn:x:"é%'))
    assert body == envelope(SET)
    assert headers["content-type"] == "application/cbor"
    assert headers["ce-source"] == "urn:x:%22%C3%A9%25"
    assert headers["ce-sequence"] == "0000000000000017"
    assert set(headers) == {
        *("content-type", "ce-specversion", "ce-id", "ce-source", "ce-type"),
        *("ce-subject", "ce-time", "ce-sequence"),
    }


def test_no_event_names_a_person() -> None:
    """The actor is a random id; its name is in no attribute and no data."""
    document = json.loads(structured(cloud_event(read_event(envelope(SET)), "urn:x")))
    assert document["data"]["actor"] == "5b1f5c0e-8a4e-4f0e-9f55-1f6a2f0a3c11"
    assert set(document["data"]) == {"seq", "time", "kind", "actor", "scope", "subject", "data"}
