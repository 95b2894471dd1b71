"""`[[webhook]]` in the configuration file: endpoints that events are posted to, and which events."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from registry.server.settings_parsing import (
    SettingsError,
    differently_named,
    parse_value,
    refuse_unknown,
    require,
    tables,
)
from registry.server.values import COUNT, DURATION, PATH, TEXT, URL, one_of

#: What the file calls them.
TABLE = "webhook"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_START = one_of("now", "beginning")

#: Seconds. What a sink does not end in time is broken off, and comes again.
_LONGEST_TIMEOUT = 10.0

#: The name of the follower that `--events` sets.
EVENTS = "events"


@dataclass(frozen=True, slots=True)
class WebhookRule:
    """One endpoint. Its place in the ledger is kept by `name`, the host's unless one is given.

    `secret` is `whsec_…` or several of them, given as such, by a file or by the name of an environment
    variable. `kinds` and `repositories` are globs; empty means all. `start` says where a new one begins.
    """

    name: str
    url: str
    secret: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    kinds: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    start: str = "now"
    attempts: int = 16
    timeout: float = 10.0
    ca: Path | None = None


_KEYS = {entry.name for entry in dataclasses.fields(WebhookRule)} | {"secret_env"}


def read_webhooks(raw: Any, path: Path | None, environ: Mapping[str, str]) -> Iterator[WebhookRule]:
    """The rules of the file's tables. Raises SettingsError."""
    found = ((where, _read(table, where, environ)) for where, table in tables(raw, path, TABLE, "endpoint"))
    yield from differently_named(found, EVENTS)


def _read(table: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> WebhookRule:
    refuse_unknown(table, _KEYS, f"key in {where}:")
    require(table, "url", where, 'where events go, as url = "https://…"')
    url = parse_value(URL, table["url"], f"url in {where}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"url in {where} must begin with https:// or http:// and name a host")
    name = parse_value(TEXT, table.get("name", parts.hostname.lower()), f"name in {where}")
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"name in {where} must be lower-case letters, digits, '.', '_' and '-', at most 64"
        )
    attempts = parse_value(COUNT, table.get("attempts", 16), f"attempts in {where}")
    timeout = parse_value(DURATION, table.get("timeout", 10.0), f"timeout in {where}")
    if attempts < 1 or not 0 < timeout <= _LONGEST_TIMEOUT:
        raise SettingsError(f"{where}: attempts must be 1 or more, timeout more than 0 and at most 10 s")
    return WebhookRule(
        name=name,
        url=url,
        secret=_secret(table, where, environ),
        secret_file=_path(table, "secret_file", where),
        kinds=_globs(table, "kinds", where),
        repositories=_globs(table, "repositories", where),
        start=parse_value(_START, table.get("start", "now"), f"start in {where}"),
        attempts=attempts,
        timeout=timeout,
        ca=_path(table, "ca", where),
    )


def _secret(table: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> str | None:
    given = [key for key in ("secret", "secret_file", "secret_env") if key in table]
    if len(given) != 1:
        raise SettingsError(f"{where} needs one of secret, secret_file and secret_env: events are signed")
    if "secret_file" in table:
        return None
    if "secret" in table:
        # Not by `parse_value`, whose message would show it.
        if not isinstance(table["secret"], str):
            raise SettingsError(f"secret in {where} must be a text")
        return table["secret"]
    variable = parse_value(TEXT, table["secret_env"], f"secret_env in {where}")
    if variable not in environ:
        raise SettingsError(f"secret_env in {where} is {variable}, which is not in the environment")
    return environ[variable]


def _globs(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    given = table.get(key, [])
    if not isinstance(given, list):
        raise SettingsError(f'{key} in {where} must be a list of globs, such as ["tag.*"]')
    return tuple(parse_value(TEXT, glob, f"{key} in {where}") for glob in given)


def _path(table: Mapping[str, Any], key: str, where: str) -> Path | None:
    found: Path | None = None if key not in table else parse_value(PATH, table[key], f"{key} in {where}")
    return found
