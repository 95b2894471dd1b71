"""`[[location]]` in the configuration file: places beside the primary one that content may lie in."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.server.settings_parsing import (
    SettingsError,
    differently_named,
    parse_value,
    read_values,
    refuse_unknown,
    require,
    tables,
)
from registry.server.values import COUNT, PATH, TEXT, URL, Kind, one_of

#: What the file calls them.
TABLE = "location"
#: The name of the place where bytes arrive.
PRIMARY = "local"

#: Storage classes whose objects have to be restored before they can be read.
TO_RESTORE = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_AT_ONCE = frozenset({"hot", "warm"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LONGEST_RESTORE = 365


@dataclass(frozen=True, slots=True)
class LocationRule:
    """One place. `url` is `file:PATH`, `folder:PATH` or `s3://…` as storage.url has it.

    `jurisdiction` is whose law it stands under, for `jurisdictions` of a domain. A place of tier `cold` or
    `archive` has to restore its bytes: a folder by whoever answers its requests, or by `restore_command`;
    a bucket by its storage class `GLACIER` or `DEEP_ARCHIVE`, as fast as `restore_tier` says. They stay at
    hand for `restore_days`. Keys and the rest are as in the group `storage`.
    """

    name: str
    url: str
    tier: str
    jurisdiction: str | None = None
    storage_class: str | None = None
    restore_days: int = 7
    restore_tier: str = "standard"
    restore_command: tuple[str, ...] = ()
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    ca: Path | None = None
    sse: str | None = None
    sse_key: str | None = None

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0]

    @property
    def path(self) -> Path:
        """Of a folder."""
        return Path(self.url.partition(":")[2]).expanduser()

    @property
    def restores(self) -> bool:
        """Whether its bytes have to be restored."""
        return self.tier not in _AT_ONCE


_KINDS: Mapping[str, Kind] = {
    "name": TEXT,
    "url": URL,
    "tier": one_of("hot", "warm", "cold", "archive"),
    "jurisdiction": TEXT,
    "storage_class": TEXT,
    "restore_days": COUNT,
    "restore_tier": one_of("expedited", "standard", "bulk"),
    "ca": PATH,
    "sse": one_of("aes256", "aws:kms"),
    "sse_key": TEXT,
}
_ELSEWHERE = {"restore_command", "access_key", "secret_key", "access_key_env", "secret_key_env"}
#: What only some places know.
_OF_BUCKETS = ("storage_class", "restore_tier", "access_key", "secret_key", "ca", "sse", "sse_key")


def read_locations(raw: Any, path: Path | None, environ: Mapping[str, str]) -> Iterator[LocationRule]:
    """The rules of the file's tables. Raises SettingsError."""
    found = ((where, _read(table, where, environ)) for where, table in tables(raw, path, TABLE, "place"))
    yield from differently_named(found, PRIMARY)


def check_apart(rules: tuple[LocationRule, ...], data: Path) -> None:
    """Folders must not lie in each other, nor in the data folder. Raises SettingsError."""
    taken = [("the data folder", data.absolute())]
    for rule in rules:
        if rule.scheme == "s3":
            continue
        here = rule.path.absolute()
        for name, there in taken:
            if here == there or here in there.parents or there in here.parents:
                raise SettingsError(f"the location {rule.name} and {name} are not apart; name another folder")
        taken.append((f"the location {rule.name}", here))


def _read(table: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> LocationRule:
    refuse_unknown(table, {*_KINDS, *_ELSEWHERE}, f"key in {where}:")
    for key, meant in (("name", 'name = "cold"'), ("url", 'url = "s3://bucket"'), ("tier", 'tier = "warm"')):
        require(table, key, where, f"one, as {meant}")
    rule = LocationRule(
        **read_values(table, _KINDS, where),
        restore_command=_command(table, where),
        access_key=_credential(table, "access_key", where, environ),
        secret_key=_credential(table, "secret_key", where, environ),
    )
    _check(rule, where)
    return rule


def _check(rule: LocationRule, where: str) -> None:
    if not _NAME.fullmatch(rule.name):
        raise SettingsError(f"name in {where} must be lower-case letters, digits and hyphens, 63 at most")
    if rule.scheme not in ("file", "folder", "s3") or not rule.url.partition(":")[2]:
        raise SettingsError(f"url in {where} must be file:PATH, folder:PATH or s3://BUCKET/PREFIX")
    if rule.scheme != "s3":
        for key in _OF_BUCKETS:
            if getattr(rule, key) != _DEFAULTS[key]:
                raise SettingsError(f"{key} in {where} is for buckets, and its url is not s3://")
    if rule.restores != (rule.scheme == "folder" or rule.storage_class in TO_RESTORE):
        raise SettingsError(
            f"tier in {where} is {rule.tier}: cold and archive are for what has to be restored (folder:, or "
            "a bucket with storage_class GLACIER or DEEP_ARCHIVE), hot and warm for what answers at once"
        )
    if rule.restore_command and rule.scheme != "folder":
        raise SettingsError(f"restore_command in {where} is for folder:")
    if not 1 <= rule.restore_days <= _LONGEST_RESTORE:
        raise SettingsError(f"restore_days in {where} must be from 1 to {_LONGEST_RESTORE}")


_DEFAULTS = {entry.name: entry.default for entry in dataclasses.fields(LocationRule)}


def _command(table: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if "restore_command" not in table:
        return ()
    text = parse_value(TEXT, table["restore_command"], f"restore_command in {where}")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise SettingsError(f"restore_command in {where} cannot be read: {error}") from None


def _credential(table: Mapping[str, Any], key: str, where: str, environ: Mapping[str, str]) -> str | None:
    """As it stands there, or in the variable that is named. Messages never show it."""
    variable = f"{key}_env"
    if key in table and variable in table:
        raise SettingsError(f"{where} has both {key} and {variable}; leave one of them out")
    if variable in table:
        name: str = parse_value(TEXT, table[variable], f"{variable} in {where}")
        if name not in environ:
            raise SettingsError(f"{variable} in {where} is {name}, which is not in the environment")
        return environ[name]
    found = table.get(key)
    if found is not None and (not isinstance(found, str) or not found):
        raise SettingsError(f"{key} in {where} must be a text that is not empty")
    return found
