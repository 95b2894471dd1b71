"""Deterministic CBOR in one form only: RFC 8949 section 4.2.1, "Core Deterministic Encoding Requirements".

The data model is JSON's plus bytes and integer keys: null, booleans, integers of CBOR's 64-bit range, finite
floats, bytes, text, arrays, and maps whose keys are text or integers, sorted by the bytes of the encoded key.
A number has one form (DECISIONS 18): an integral float within ±(2^53-1) is written as an integer, -0.0 as 0,
any other float in the shortest of 16, 32 and 64 bits that is exact. No tags, no indefinite lengths, no
undefined, no NaN, no infinities, no duplicate keys.

The codec is our own. cbor2 sorts keys length first, builds objects for tags and hashes arrays and maps that
stand as keys, all of it before anything here could object; this reader refuses each at its first byte. The
tests hold it against cbor2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

#: Containers inside containers; a scalar has depth 0, `[]` has depth 1.
MAX_DEPTH = 64

#: Bytes of one encoded value, where the caller asks for no other limit.
MAX_BYTES = 8 * 1024 * 1024

#: Integers of at most this magnitude are exact in IEEE 754 doubles, and so in JSON (RFC 8785 appendix D).
MAX_SAFE_INTEGER = 2**53 - 1

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0, 0xC0
_KEY_TYPES = (_TEXT, _UNSIGNED, _NEGATIVE)
_FALSE, _TRUE, _NULL = b"\xf4", b"\xf5", b"\xf6"
_SINGLE = tuple(bytes((number,)) for number in range(256))
#: Initial byte and struct format of each float width, the shortest first.
_FLOATS = ((b"\xf9", ">e"), (b"\xfa", ">f"), (b"\xfb", ">d"))
_FLOAT_FORMATS = {0xF9: ">e", 0xFA: ">f", 0xFB: ">d"}


class CborError(ValueError):
    """A value outside the data model, or bytes not in the one form. Callers translate it to StoreError."""


def encode(value: object, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> bytes:
    """The one encoding of `value`, made of None, bool, int, float, str, bytes, list, tuple and Mapping.

    Subclasses (a StrEnum, a mapping proxy) are written as what they extend. Raises CborError for any other
    type, integers beyond 64 bits, NaN, infinities, lone surrogates, keys that are neither text nor integer,
    nesting beyond `max_depth` and results longer than `max_bytes`.
    """
    out: list[bytes] = []
    _write(value, out, max_depth)
    data = b"".join(out)
    if len(data) > max_bytes:
        raise CborError(f"the value takes {len(data)} bytes, more than {max_bytes}")
    return data


def decode(data: bytes, *, max_depth: int = MAX_DEPTH, max_bytes: int = MAX_BYTES) -> Any:
    """The value whose one encoding is `data`: `encode(decode(data)) == data` for all that is accepted.

    Arrays become lists, maps become dicts in the order of their keys. Raises CborError for anything else,
    with the offset in bytes.
    """
    if len(data) > max_bytes:
        raise CborError(f"{len(data)} bytes, more than {max_bytes}")
    value, end = _read(data, 0, max_depth)
    if end != len(data):
        raise CborError(f"bytes follow the value, at offset {end}")
    return value


def _head(major: int, argument: int) -> bytes:
    """Initial byte and argument, as short as possible (RFC 8949 section 3)."""
    if argument < 24:
        return _SINGLE[major + argument]
    if argument < 0x100:
        return bytes((major + 24, argument))
    if argument < 0x10000:
        return bytes((major + 25, argument >> 8, argument & 0xFF))
    if argument < 0x100000000:
        return _SINGLE[major + 26] + argument.to_bytes(4, "big")
    if argument < 0x10000000000000000:
        return _SINGLE[major + 27] + argument.to_bytes(8, "big")
    raise CborError("an integer is beyond CBOR's 64 bits")


def _text(text: str) -> bytes:
    try:
        data = str.encode(text)
    except UnicodeEncodeError:
        raise CborError("text holds a lone surrogate") from None
    length = len(data)
    return (_SINGLE[_TEXT + length] if length < 24 else _head(_TEXT, length)) + data


def _integer(number: int) -> bytes:
    return _head(_UNSIGNED, number) if number >= 0 else _head(_NEGATIVE, -1 - number)


def _float(number: float) -> bytes:
    if number.is_integer() and -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        return _integer(int(number))
    if not math.isfinite(number):
        raise CborError("a number is not finite")
    for initial, layout in _FLOATS:
        try:
            packed = struct.pack(layout, number)
        except OverflowError:
            continue
        if struct.unpack(layout, packed)[0] == number:
            return initial + packed
    raise AssertionError("64 bits hold any float")


def _key(key: object) -> bytes:
    if isinstance(key, str):
        return _text(key)
    if isinstance(key, int) and not isinstance(key, bool):
        return _integer(key)
    raise CborError("a key is neither text nor an integer")


def _write(value: object, out: list[bytes], depth: int) -> None:
    """Append the encoding of `value`; `depth` is how many containers may still open. Commonest first."""
    if isinstance(value, str):
        out.append(_text(value))
    elif value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out.append(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        out.append(_integer(value))
    elif isinstance(value, dict):
        _write_map(value, out, depth)
    elif isinstance(value, (list, tuple)):
        if depth == 0:
            raise CborError("nested too deeply")
        out.append(_head(_ARRAY, len(value)))
        for item in value:
            _write(item, out, depth - 1)
    elif isinstance(value, bytes):
        out.append(_head(_BYTES, len(value)))
        out.append(value)
    elif isinstance(value, float):
        out.append(_float(value))
    elif isinstance(value, Mapping):
        _write_map(value, out, depth)
    else:
        raise CborError(f"{type(value).__name__} has no place in the data model")


def _write_map(value: Mapping[Any, object], out: list[bytes], depth: int) -> None:
    if depth == 0:
        raise CborError("nested too deeply")
    encoded = {_key(key): item for key, item in value.items()}
    if len(encoded) != len(value):
        raise CborError("a key stands twice in one map")
    out.append(_head(_MAP, len(encoded)))
    for key in sorted(encoded):
        out.append(key)
        _write(encoded[key], out, depth - 1)


def _argument(data: bytes, at: int) -> tuple[int, int]:
    """The argument in the bytes after the head at `at`, and the offset after it; the shortest form only."""
    extra = data[at] & 0x1F
    if extra > 27:
        raise CborError(f"an indefinite or reserved length at offset {at}")
    width = 1 << (extra - 24)
    end = at + 1 + width
    if end > len(data):
        raise CborError("the data ends inside a value")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if argument < 24 or (width > 1 and argument >> (width * 4) == 0):
        raise CborError(f"an integer or length is not in its shortest form at offset {at}")
    return argument, end


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The value at offset `at` and the offset after it; `depth` is how many containers may still open."""
    if at >= len(data):
        raise CborError("the data ends inside a value")
    initial = data[at]
    if initial >= _TAG:
        return _read_simple(data, at)
    argument, after = initial & 0x1F, at + 1
    if argument >= 24:
        argument, after = _argument(data, at)
    major = initial & 0xE0
    if major <= _NEGATIVE:
        return (argument if major == _UNSIGNED else -1 - argument), after
    # A string has as many bytes as it says, an array at least as many, a map at least twice as many.
    if argument > len(data) - after:
        raise CborError(f"a length at offset {at} reaches beyond the data")
    if major == _TEXT:
        end = after + argument
        try:
            return data[after:end].decode(), end
        except UnicodeDecodeError:
            raise CborError(f"text is not UTF-8 at offset {at}") from None
    if major == _BYTES:
        end = after + argument
        return data[after:end], end
    if depth == 0:
        raise CborError(f"nested too deeply at offset {at}")
    if major == _MAP:
        return _read_map(data, after, argument, depth - 1)
    items: list[Any] = []
    for _ in range(argument):
        item, after = _read(data, after, depth - 1)
        items.append(item)
    return items, after


def _read_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    """The map's pairs from `at` on. Keys that strictly ascend by their bytes are sorted and distinct."""
    pairs: dict[Any, Any] = {}
    previous = b""
    for _ in range(count):
        if at < len(data) and data[at] & 0xE0 not in _KEY_TYPES:
            raise CborError(f"a key is neither text nor an integer at offset {at}")
        key, end = _read(data, at, 0)
        encoded = data[at:end]
        if encoded <= previous:
            reason = "stands twice" if encoded == previous else "is out of order"
            raise CborError(f"a key {reason} at offset {at}")
        previous = encoded
        pairs[key], at = _read(data, end, depth)
    return pairs, at


def _read_simple(data: bytes, at: int) -> tuple[bool | float | None, int]:
    """Major types 6 and 7, tags and simple values, of which null, booleans and floats are accepted."""
    initial = data[at]
    if initial == 0xF6:
        return None, at + 1
    if initial in (0xF4, 0xF5):
        return initial == 0xF5, at + 1
    layout = _FLOAT_FORMATS.get(initial)
    if layout is None:
        what = "a tag" if initial < 0xE0 else "a simple value outside the data model"
        raise CborError(f"{what} at offset {at}")
    end = at + 1 + struct.calcsize(layout)
    if end > len(data):
        raise CborError("the data ends inside a value")
    number: float = struct.unpack(layout, data[at + 1 : end])[0]
    if _float(number) != data[at:end]:
        raise CborError(f"a number is not in its one form at offset {at}")
    return number, end
