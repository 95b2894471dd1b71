"""`[[repository]]` and `[[domain]]` of the settings file: rules for some repositories, and the domains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.server.settings_parsing import (
    SettingsError,
    parse_value,
    read_values,
    refuse_unknown,
    require,
    tables,
)
from registry.server.values import (
    CODEC,
    DOMAIN,
    DURATION,
    DURATION_OR_NEVER,
    FLAG,
    LEVEL,
    SIZE,
    TEXT,
    Kind,
)

#: The tables this page reads.
TABLES = frozenset({"repository", "domain"})


@dataclass(frozen=True, slots=True)
class PackRule:
    """When blobs are packed, and how: `after` seconds since they arrived, None for never; sizes in bytes."""

    after: float | None = 7 * 24 * 3600.0
    at_least: int = 0
    at_most: int | None = None
    codec: str = "zstd"
    level: int = 3


@dataclass(frozen=True, slots=True)
class RepositoryRule:
    """`[[repository]]` in the file: what holds for repositories whose name matches. The first match decides.

    `match` is a glob (`*` any characters with slashes, `?` one, `[...]` a set). `sparse` accepts manifests
    whose blobs are absent, for partial mirrors. `immutable_tags` are globs of tags that never move once set.
    `untagged_after` lets manifests go that for so long had no tag, no index that lists them and no subject.
    `domain` is where new repositories begin, and stay. `pack_after` and the other settings of the group
    `pack` hold for its blobs instead of those.
    """

    match: str
    sparse: bool = False
    immutable_tags: tuple[str, ...] = ()
    untagged_after: float | None = None
    domain: str = DEFAULT_DOMAIN
    pack: PackRule = PackRule()


@dataclass(frozen=True, slots=True)
class DomainRule:
    """`[[domain]]` in the file: a border of deduplication and erasure. `sealed` encrypts what it stores.

    With `jurisdictions` its bytes lie only at places whose `jurisdiction` is one of them; None: anywhere.
    """

    name: str
    sealed: bool = False
    jurisdictions: tuple[str, ...] | None = None


_REPOSITORY_KINDS: Mapping[str, Kind] = {
    "match": TEXT,
    "sparse": FLAG,
    "untagged_after": DURATION,
    "domain": DOMAIN,
}
_PACK_KINDS: Mapping[str, Kind] = {
    "after": DURATION_OR_NEVER,
    "at_least": SIZE,
    "at_most": SIZE,
    "codec": CODEC,
    "level": LEVEL,
}
_DOMAIN_KINDS: Mapping[str, Kind] = {"name": DOMAIN, "sealed": FLAG}


def read_repositories(raw: Any, path: Path | None, packing: PackRule) -> Iterator[RepositoryRule]:
    """The rules, in order; `packing` is what those say that say nothing of it. Raises SettingsError."""
    for where, rule in tables(raw, path, "repository", "rule"):
        pack_keys = {f"pack_{name}": name for name in _PACK_KINDS}
        refuse_unknown(rule, {*_REPOSITORY_KINDS, "immutable_tags", *pack_keys}, f"key in {where}:")
        require(rule, "match", where, 'the repositories it is for, as match = "team/*"')
        tags = rule.get("immutable_tags", [])
        if not isinstance(tags, list):
            raise SettingsError(f'immutable_tags in {where} must be a list of globs, such as ["v*"]')
        changed = {
            name: parse_value(_PACK_KINDS[name], rule[key], f"{key} in {where}")
            for key, name in pack_keys.items()
            if key in rule
        }
        yield RepositoryRule(
            immutable_tags=tuple(parse_value(TEXT, tag, f"immutable_tags in {where}") for tag in tags),
            pack=dataclasses.replace(packing, **changed),
            **read_values(rule, _REPOSITORY_KINDS, where),
        )


def read_domains(raw: Any, path: Path | None) -> Iterator[DomainRule]:
    """The domains, in order. Raises SettingsError."""
    for where, rule in tables(raw, path, "domain", "domain"):
        refuse_unknown(rule, {*_DOMAIN_KINDS, "jurisdictions"}, f"key in {where}:")
        require(rule, "name", where, 'what repositories call it, as name = "secret"')
        laws = rule.get("jurisdictions")
        if laws is not None and (not isinstance(laws, list) or not laws):
            raise SettingsError(f'jurisdictions in {where} must be a list that names some, such as ["de"]')
        named = laws and tuple(parse_value(TEXT, law, f"jurisdictions in {where}") for law in laws)
        yield DomainRule(**read_values(rule, _DOMAIN_KINDS, where), jurisdictions=named)


def check_rules(
    repositories: tuple[RepositoryRule, ...], domains: tuple[DomainRule, ...], *, has_keys: bool
) -> None:
    """What no single rule can tell. Raises SettingsError."""
    names = [domain.name for domain in domains]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"the domain {name} stands twice in the file; keep one [[domain]] of it")
    refuse_unknown(
        (rule.domain for rule in repositories), {DEFAULT_DOMAIN, *names}, "domain (there is no [[domain]])"
    )
    sealed = next((domain.name for domain in domains if domain.sealed), None)
    if sealed is not None and not has_keys:
        raise SettingsError(
            f"the domain {sealed} is sealed, and keys.provider does not say where its keys are wrapped"
        )
