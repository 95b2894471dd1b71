"""Deterministic CBOR in one form only: RFC 8949 section 4.2.1, "Core Deterministic Encoding Requirements".

The data model is JSON's plus bytes: null, booleans, integers of CBOR's 64-bit range, finite floats, bytes,
text, arrays, and maps whose keys are text, sorted by the bytes of the encoded key. A number has one form
(decision 18): an integral float within ±(2^53-1) is written as an integer, -0.0 as 0, any other float in
the shortest of 16, 32 and 64 bits that is exact.

cbor2 writes and reads the single items. Ours is what it leaves open: which values there are, the order of
keys, the form of a number, the depth on writing. Its reader is told to take no tags, no indefinite lengths,
no duplicate keys, no keys but strings, and no more depth than allowed. What it takes nevertheless (long
heads, long floats, keys in any order, undefined, bytes after the value) is refused because the value has to
give the same bytes when it is written again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import cbor2

#: Containers inside containers; a scalar has depth 0, `[]` has depth 1.
MAX_DEPTH = 64

#: Bytes of one encoded value, where the caller asks for no other limit.
MAX_BYTES = 8 * 1024 * 1024

#: Integers of at most this magnitude are exact in IEEE 754 doubles, and so in JSON (RFC 8785 appendix D).
MAX_SAFE_INTEGER = 2**53 - 1

_ARRAY, _MAP = 4, 5  # major types (RFC 8949 section 3.1)
#: cbor2 quotes keys, and a hostile one can be as long as the data.
_LONGEST_REASON = 200


class CborError(ValueError):
    """A value outside the data model, or bytes not in the one form. Callers translate it to StoreError."""


class _NoTags(dict[int, Any]):
    """Decoders for tags. cbor2 asks here first, at the tag's head; for what is missing it has decoders."""

    def __missing__(self, tag: int) -> NoReturn:
        raise cbor2.CBORDecodeError(f"tag {tag} has no place in the data model")


_NO_TAGS = _NoTags()
#: What cbor2 does not know it hands to `default`, together with the encoder that `encode` is after.
_STAND_IN = object()


def encode(value: object, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> bytes:
    """The one encoding of `value`, made of None, bool, int, float, str, bytes, list, tuple and Mapping.

    Subclasses (a StrEnum, a mapping proxy) are written as what they extend. Raises CborError for any other
    type, integers beyond 64 bits, NaN, infinities, lone surrogates, keys that are not text, nesting beyond
    `max_depth` and results longer than `max_bytes`.
    """

    def write(encoder: cbor2.CBOREncoder, _: object) -> None:
        _write(encoder, value, max_depth)

    try:
        # canonical=True is for the shortest floats. Its order of keys is not used: cbor2 sees no map whole.
        data = cbor2.dumps(_STAND_IN, canonical=True, default=write)
    except (UnicodeEncodeError, cbor2.CBORError) as error:  # a lone surrogate
        raise CborError(f"CBOR cannot hold it: {error}") from None
    if len(data) > max_bytes:
        raise CborError(f"the value takes {len(data)} bytes, more than {max_bytes}")
    return data


def decode(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """The value whose one encoding is `data`: `encode(decode(data)) == data` for all that is accepted.

    Arrays become lists, maps become dicts in the order of their keys. Raises CborError for anything else.
    """
    if len(data) > max_bytes:
        raise CborError(f"{len(data)} bytes, more than {max_bytes}")
    try:
        value = cbor2.loads(
            data,
            semantic_decoders=_NO_TAGS,
            max_depth=max_depth,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except cbor2.CBORError as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise CborError(reason[:_LONGEST_REASON]) from None
    again = encode(value, max_depth=max_depth, max_bytes=max_bytes)
    if again == data:
        return value
    if data.startswith(again):
        raise CborError(f"bytes follow the value, at offset {len(again)}")
    offset = next(at for at, (found, right) in enumerate(zip(data, again, strict=False)) if found != right)
    raise CborError(f"not the one form of the value: another byte belongs at offset {offset}")


def _write(encoder: cbor2.CBOREncoder, value: object, depth: int) -> None:
    """Write `value`; `depth` is how many containers may still open."""
    if value is None or isinstance(value, (str, bytes)):
        encoder.encode(value)
    elif isinstance(value, int):  # bool too
        if not -(2**64) <= value < 2**64:
            raise CborError("an integer is beyond CBOR's 64 bits")
        encoder.encode(value)
    elif isinstance(value, float):
        encoder.encode(_number(value))
    elif not isinstance(value, (dict, list, tuple, Mapping)):
        raise CborError(f"{type(value).__name__} has no place in the data model")
    elif depth == 0:
        raise CborError("nested too deeply")
    elif isinstance(value, (list, tuple)):
        encoder.encode_length(_ARRAY, len(value))
        for item in value:
            _write(encoder, item, depth - 1)
    else:
        _write_map(encoder, value, depth - 1)


def _write_map(encoder: cbor2.CBOREncoder, value: Mapping[Any, object], depth: int) -> None:
    encode_key, write = encoder.encode_to_bytes, encoder.write
    encoded: dict[bytes, object] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise CborError("a key is not text")
        encoded[encode_key(key)] = item
    if len(encoded) != len(value):
        raise CborError("a key stands twice in one map")
    encoder.encode_length(_MAP, len(encoded))
    for encoded_key in sorted(encoded):
        write(encoded_key)
        _write(encoder, encoded[encoded_key], depth)


def _number(number: float) -> int | float:
    if not math.isfinite(number):
        raise CborError("a number is not finite")
    integral = number.is_integer() and abs(number) <= MAX_SAFE_INTEGER
    return int(number) if integral else number
