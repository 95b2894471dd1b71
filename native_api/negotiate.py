"""`Accept` against what an operation offers (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from registry.contract.errors import ErrorKind, StoreError


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """The offered media type that `accept` wants most, the first of equals.

    Raises StoreError NOT_ACCEPTABLE.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(item) for item in accept.split(",") if item.strip()]
    best, best_quality = "", 0.0
    for media_type in offered:
        quality = _quality(media_type, ranges)
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise StoreError(ErrorKind.NOT_ACCEPTABLE, f"this is served as {' or '.join(offered)}")
    return best


def _range(item: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_range, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media_range, 0.0
    return media_range, 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The weight of the most specific range that matches."""
    kind = media_type.partition("/")[0]
    for wanted in (media_type, f"{kind}/*", "*/*"):
        weights = [weight for media_range, weight in ranges if media_range == wanted]
        if weights:
            return max(weights)
    return 0.0
