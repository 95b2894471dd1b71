"""Settings as people read them: the reference table, and what is set now. Passwords in URLs are masked."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from registry.server.settings import Loaded, Option, PackRule, options
from registry.server.tier_rules import TierRule
from registry.server.values import DURATION, SECRET, SIZE
from registry.sinks.opening import shown

_PASSWORD = re.compile(r"(://[^/@:]*):[^/@]*@")
#: Without a colon it is a token.
_TOKEN = re.compile(r"(nats(?:\+tls)?://)[^/@:]*@")


def as_markdown() -> str:
    """The reference, one row a setting, as README.md carries it between two markers."""
    rows = [
        "| Setting | Flag | Environment | Unit | Default | Why |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| `{option.key}` | `{option.flag}` | `{option.variable}` | {option.kind.unit} "
        f"| {option.render(option.default)} | {option.reason} |"
        for option in options()
    ]
    return "\n".join(rows) + "\n"


def as_text(loaded: Loaded) -> str:
    """What is set: key, value, source, in columns."""
    rows = [(option.key, _shown(loaded, option), loaded.sources[option.key]) for option in options()]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}".rstrip() for key, value, source in rows]
    for domain in loaded.settings.domains:
        laws = f", under {' or '.join(domain.jurisdictions)} alone" if domain.jurisdictions else ""
        lines.append(f"domain {domain.name}: {'sealed' if domain.sealed else 'plain'}{laws}")
    for rule in loaded.settings.repositories:
        tags = ", ".join(rule.immutable_tags) or "none"
        untagged = "never" if rule.untagged_after is None else f"after {DURATION.render(rule.untagged_after)}"
        lines.append(
            f"repository {rule.match}: domain {rule.domain}, sparse {str(rule.sparse).lower()}, "
            f"immutable tags {tags}, untagged manifests go {untagged}, packed {_packed(rule.pack)}"
        )
    for hook in loaded.settings.webhooks:
        lines.append(
            f"webhook {hook.name}: {shown(hook.url)}, kinds {', '.join(hook.kinds) or 'all'}, "
            f"repositories {', '.join(hook.repositories) or 'all'}"
        )
    for place in loaded.settings.locations:
        law = f", under {place.jurisdiction}" if place.jurisdiction else ""
        lines.append(f"location {place.name}: {mask(place.url)}, {place.tier}{law}")
    for tier in loaded.settings.tier_rules:
        lines.append(f"tier {tier.to}: {_tier(tier)}")
    return "\n".join(lines) + "\n"


def _tier(rule: TierRule) -> str:
    most = "any size" if rule.at_most is None else f"{SIZE.render(rule.at_most)} at most"
    return (
        f"{', '.join(rule.match)}, {SIZE.render(rule.at_least)} at least, {most}, "
        f"{DURATION.render(rule.after)} old, {DURATION.render(rule.unread)} unread"
    )


def as_json(loaded: Loaded) -> dict[str, Any]:
    """`{"file", "settings": [{"key", "value", ...}]}`, and each table of the file as a list.

    Sizes are in bytes, times in seconds.
    """
    return {
        "file": None if loaded.file is None else str(loaded.file),
        "settings": [
            {
                "key": option.key,
                "value": _plain(_value(loaded, option), option),
                "default": _plain(option.default, option),
                "source": loaded.sources[option.key],
                "flag": option.flag,
                "environment": option.variable,
                "unit": option.kind.unit,
            }
            for option in options()
        ],
        "repositories": [
            {
                "match": rule.match,
                "sparse": rule.sparse,
                "immutable_tags": list(rule.immutable_tags),
                "untagged_after": rule.untagged_after,
                "domain": rule.domain,
                "pack": dataclasses.asdict(rule.pack),
            }
            for rule in loaded.settings.repositories
        ],
        "domains": [dataclasses.asdict(domain) for domain in loaded.settings.domains],
        "webhooks": [
            {
                "name": hook.name,
                "url": shown(hook.url),
                "kinds": list(hook.kinds),
                "repositories": list(hook.repositories),
                "start": hook.start,
                "attempts": hook.attempts,
                "timeout": hook.timeout,
            }
            for hook in loaded.settings.webhooks
        ],
        "locations": [
            {
                "name": place.name,
                "url": mask(place.url),
                "tier": place.tier,
                "jurisdiction": place.jurisdiction,
                "storage_class": place.storage_class,
                "restore_days": place.restore_days if place.restores else None,
            }
            for place in loaded.settings.locations
        ],
        "tiers": [dataclasses.asdict(rule) for rule in loaded.settings.tier_rules],
    }


def _packed(rule: PackRule) -> str:
    if rule.after is None:
        return "never"
    sizes = (
        f"from {SIZE.render(rule.at_least)}"
        if rule.at_most is None
        else (f"of {SIZE.render(rule.at_least)} to {SIZE.render(rule.at_most)}")
    )
    how = f"zstd {rule.level}" if rule.codec == "zstd" else "uncompressed"
    return f"after {DURATION.render(rule.after)} {sizes} {how}"


def _value(loaded: Loaded, option: Option) -> Any:
    return getattr(getattr(loaded.settings, option.group), option.name)


def _shown(loaded: Loaded, option: Option) -> str:
    return mask(option.render(_value(loaded, option)))


def _plain(value: Any, option: Option) -> Any:
    if option.kind is SECRET:
        return None if value is None else option.render(value)
    return value if value is None or isinstance(value, (bool, int, float)) else mask(str(value))


def mask(text: str) -> str:
    """`text` with the password of a URL replaced by asterisks."""
    return _TOKEN.sub(r"\1****@", _PASSWORD.sub(r"\1:****@", text))
