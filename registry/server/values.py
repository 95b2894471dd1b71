"""Settings as text: how flags, environment and TOML spell sizes, durations and the rest, both ways.

Every source is read by the same parsers, so `16 MiB` means the same on a command line, in the environment
and in a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SIZE = re.compile(r"(\d+)\s*([KMGT]?i?B?)", re.IGNORECASE)
_SIZE_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_DURATION_FACTORS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: `unit` as the table prints it, `metavar` as `--help` does.

    `parse` raises ValueError with a sentence.
    """

    unit: str
    metavar: str
    parse: Callable[[Any], Any]
    render: Callable[[Any], str]


def _parse_size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "it must be a size such as 1048576, 512 KiB or 16 MiB (K, M, G and T are powers of 1024)"
        )
    return int(match[1]) * _SIZE_FACTORS[match[2][:1].upper() if match[2][:1].upper() != "B" else ""]


def _render_size(value: int) -> str:
    for prefix in ("T", "G", "M", "K"):
        if value and value % _SIZE_FACTORS[prefix] == 0:
            return f"{value // _SIZE_FACTORS[prefix]} {prefix}iB"
    return str(value)


def _parse_duration(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    factor = _DURATION_FACTORS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(
            "it must be a duration such as 30, 500 ms, 90 s, 15 min, 24 h or 7 d (plain numbers are seconds)"
        )
    return float(match[1]) * factor


def _render_duration(value: float) -> str:
    for unit in ("d", "h", "min"):
        factor = _DURATION_FACTORS[unit]
        # 24 h reads better than 1 d, so a unit is used from two of it on.
        if value >= (2 * factor if unit == "d" else factor) and value % factor == 0:
            return f"{value / factor:g} {unit}"
    return f"{value:g} s"


def _parse_duration_or_never(value: Any) -> float | None:
    if isinstance(value, str) and value.strip().lower() == "never":
        return None
    try:
        return _parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or never") from None


def _parse_count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    raise ValueError("it must be a whole number, zero or more")


def _parse_level(value: Any) -> int:
    level = _parse_count(value)
    if not 1 <= level <= 22:
        raise ValueError("it must be a level of zstd, from 1 to 22")
    return level


def _parse_share(value: Any) -> float:
    text = value.strip() if isinstance(value, str) else value
    try:
        share = float(text[:-1]) / 100 if isinstance(text, str) and text.endswith("%") else float(text)
    except (TypeError, ValueError):
        share = -1.0
    if isinstance(value, bool) or not 0 < share <= 1:
        raise ValueError("it must be a part such as 0.25 or 25%, more than none and all at most")
    return share


def _parse_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("it must be true or false")


def _parse_text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("it must be a text that is not empty")


def _parse_domain(value: Any) -> str:
    name = _parse_text(value)
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError("a domain's name has lower-case letters, digits and hyphens, 63 at most")
    return name


def _parse_provider(value: Any) -> str:
    text = _parse_text(value)
    kind, _, rest = text.partition(":")
    name, _, program = rest.partition("=")
    if (rest and kind in {"file", "environment"}) or (kind == "command" and name and program):
        return text
    raise ValueError("it must be file:PATH, environment:VARIABLE, or command:KEY=PROGRAM with its arguments")


def _parse_path(value: Any) -> Path:
    return value if isinstance(value, Path) else Path(_parse_text(value)).expanduser()


def setting(default: Any, kind: Kind, reason: str, *, none: str = "none", flag: str | None = None) -> Any:
    """One setting: its default, its kind, and why the default is right.

    `none` is how None is printed, `flag` another name on the command line.
    """
    shown = {"kind": kind, "reason": reason, "none": none, "flag": flag}
    return field(default=default, metadata=shown, repr=kind is not SECRET)


SIZE = Kind("bytes", "SIZE", _parse_size, _render_size)
DURATION = Kind("seconds", "TIME", _parse_duration, _render_duration)
DURATION_OR_NEVER = Kind("seconds or never", "TIME", _parse_duration_or_never, _render_duration)
COUNT = Kind("number", "N", _parse_count, str)
FLAG = Kind("true or false", "BOOL", _parse_flag, lambda value: "true" if value else "false")
TEXT = Kind("text", "TEXT", _parse_text, str)
ADDRESS = Kind("text", "HOST:PORT", _parse_text, str)
SECRET = Kind("secret", "SECRET", _parse_text, lambda value: "****")
URL = Kind("text", "URL", _parse_text, str)
SHARE = Kind("part", "PART", _parse_share, lambda value: f"{value:.4g}")
LEVEL = Kind("1 to 22", "N", _parse_level, str)
DOMAIN = Kind("name", "NAME", _parse_domain, str)
PROVIDER = Kind("reference", "PROVIDER", _parse_provider, str)
PATH = Kind("path", "PATH", _parse_path, str)


def one_of(*words: str) -> Kind:
    """The kind of a value that is one of `words`."""

    def parse(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in words:
            return value.strip().lower()
        raise ValueError(f"it must be one of {', '.join(words)}")

    return Kind(" or ".join((", ".join(words[:-1]), words[-1])), f"{{{','.join(words)}}}", parse, str)


CODEC = one_of("zstd", "none")
