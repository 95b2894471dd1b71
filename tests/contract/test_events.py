"""Envelopes: what is written reads the same, also by programs that know more fields than the writer did."""

from __future__ import annotations

import pytest

from registry.contract import cbor
from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.events import (
    Entry,
    Event,
    LocationChanged,
    LocationReleased,
    decode_entry,
    decode_envelope,
    encode_entry,
)

ADDRESS = Digest.of(b"content", Algorithm.BLAKE3)


@pytest.mark.parametrize(
    "event",
    [
        LocationChanged(DEFAULT_DOMAIN, ADDRESS, "vault", "archive", None),
        LocationChanged(DEFAULT_DOMAIN, ADDRESS, "vault", "archive", "available", 1_763_836_980_000_125),
        LocationReleased(DEFAULT_DOMAIN, ADDRESS, "local"),
    ],
)
def test_an_event_reads_as_it_was_written(event: Event) -> None:
    entry = Entry(7, 8, "system", event)
    assert decode_entry(encode_entry(entry)) == entry


def test_a_field_that_says_nothing_is_not_written() -> None:
    """So envelopes from before it was thought of are in the one form that there is, and keep their hash."""
    silent = LocationChanged(DEFAULT_DOMAIN, ADDRESS, "local", "hot", None)
    data = decode_envelope(encode_entry(Entry(1, 2, "system", silent)))["data"]
    assert data == {
        "domain": "default",
        "location": "local",
        "retrieval_tier": "hot",
        "restore_status": None,
    }


def test_an_event_of_a_newer_program_asks_for_that_program() -> None:
    envelope = decode_envelope(
        encode_entry(Entry(3, 4, "system", LocationReleased(DEFAULT_DOMAIN, ADDRESS, "a")))
    )
    with pytest.raises(StoreError, match="a newer artifact-store wrote it") as caught:
        decode_entry(cbor.encode(envelope | {"kind": "location.sold"}))
    assert caught.value.kind is ErrorKind.INTERNAL
