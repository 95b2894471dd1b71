"""Settings from all their sources. The only place that reads the environment.

A value comes from the first source that has it: flag, environment, TOML file, default. One name serves all
three: `limits.manifest_bytes` is `--limits-manifest-bytes`, `ARTIFACT_STORE_LIMITS_MANIFEST_BYTES`, and the
key `manifest_bytes` under `[limits]`; settings of the group `server` go without the group's name. A variable
with `_FILE` behind its name is the path of a file that has the value. Keys nobody knows are refused, because
a misspelt limit is a limit that does not hold.
"""

# ruff: noqa: RUF009  (frozen dataclasses are values, safe to share as defaults)

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.server.location_rules import PRIMARY, TO_RESTORE, LocationRule, check_apart, read_locations
from registry.server.location_rules import TABLE as LOCATION
from registry.server.recovery_settings import Recovery
from registry.server.settings_groups import (
    Care,
    Database,
    Events,
    Keys,
    Limits,
    Log,
    Pack,
    Server,
    Storage,
    Tiers,
    Uploads,
)
from registry.server.settings_parsing import SettingsError, parse_value, refuse_unknown
from registry.server.settings_rules import (
    TABLES,
    DomainRule,
    PackRule,
    RepositoryRule,
    check_rules,
    read_domains,
    read_repositories,
)
from registry.server.storage_settings import bucket_of, secondary_of
from registry.server.tier_rules import TABLE as TIER
from registry.server.tier_rules import TierRule, check_tiers, read_tiers
from registry.server.values import Kind
from registry.server.webhook_rules import TABLE as WEBHOOK
from registry.server.webhook_rules import WebhookRule, read_webhooks

__all__ = [
    "FILE_NAME",
    "PREFIX",
    "DomainRule",
    "Loaded",
    "LocationRule",
    "Option",
    "PackRule",
    "RepositoryRule",
    "Settings",
    "WebhookRule",
    "environment",
    "load",
    "options",
]

#: What names of environment variables begin with.
PREFIX = "ARTIFACT_STORE_"

#: The configuration file that is read when none is named and it is there, in the data folder.
FILE_NAME = "artifact-store.toml"


#: `postgresql` as libpq has it; with the driver's name it is SQLAlchemy's.
_DATABASE_SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")

#: Behind the name of a variable: a file has the value, as container platforms hand out secrets.
_FROM_FILE = "_FILE"

#: Variables with our prefix that are not ours: the registry that clients walk, and what Docker links and
#: Kubernetes put into the environment of everything beside a service called artifact-store.
_FOREIGN = re.compile(
    PREFIX + r"(URL|SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP)(_.+)?|NAME|ENV_.+)"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    server: Server = Server()
    log: Log = Log()
    database: Database = Database()
    storage: Storage = Storage()
    limits: Limits = Limits()
    uploads: Uploads = Uploads()
    care: Care = Care()
    pack: Pack = Pack()
    tiers: Tiers = Tiers()
    keys: Keys = Keys()
    events: Events = Events()
    recovery: Recovery = Recovery()
    domains: tuple[DomainRule, ...] = ()
    repositories: tuple[RepositoryRule, ...] = ()
    webhooks: tuple[WebhookRule, ...] = ()
    locations: tuple[LocationRule, ...] = ()
    tier_rules: tuple[TierRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One setting by all its names."""

    group: str
    name: str
    default: Any
    kind: Kind
    reason: str
    none: str
    other_flag: str | None = None

    @property
    def key(self) -> str:
        """`limits.idle`, or `listen` for those of the group `server`."""
        return self.name if self.group == "server" else f"{self.group}.{self.name}"

    @property
    def dest(self) -> str:
        return self.key.replace(".", "_")

    @property
    def flag(self) -> str:
        return self.other_flag or "--" + self.dest.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.dest.upper()

    def render(self, value: Any) -> str:
        return self.none if value is None else self.kind.render(value)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each came from: `flag`, the variable's name, the file's path, or `default`."""

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None


_GROUPS: Mapping[str, type[Any]] = {
    "server": Server,
    "log": Log,
    "database": Database,
    "storage": Storage,
    "limits": Limits,
    "uploads": Uploads,
    "care": Care,
    "pack": Pack,
    "tiers": Tiers,
    "keys": Keys,
    "events": Events,
    "recovery": Recovery,
}


def options() -> Iterator[Option]:
    """Every setting, in the order of its groups."""
    for group, cls in _GROUPS.items():
        for entry in dataclasses.fields(cls):
            meta = entry.metadata
            yield Option(
                group, entry.name, entry.default, meta["kind"], meta["reason"], meta["none"], meta["flag"]
            )


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read all sources. `flags` maps `Option.dest` (and `config`) to text, None where it was not given.

    Raises SettingsError for values and keys that cannot be used.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    environ = os.environ if environ is None else environ
    known = {option.variable for option in options()}
    variables = _with_files(environ, known)
    path, document = _read_file(given, variables)
    values: dict[str, dict[str, Any]] = {group: {} for group in _GROUPS}
    sources: dict[str, str] = {}
    for option in options():
        table = document if option.group == "server" else document.get(option.group, {})
        if option.dest in given:
            raw, source, said = given[option.dest], "flag", option.flag
        elif option.variable in variables:
            raw, source, said = variables[option.variable], option.variable, option.variable
        elif option.name in table:
            raw, source, said = table[option.name], str(path), f"{option.key} in {path}"
        else:
            sources[option.key] = "default"
            continue
        values[option.group][option.name] = parse_value(option.kind, raw, said)
        sources[option.key] = source
    groups = {group: cls(**values[group]) for group, cls in _GROUPS.items()}
    pack: Pack = groups["pack"]
    packing = PackRule(pack.after, pack.at_least, pack.at_most, pack.codec, pack.level)
    settings = Settings(
        **groups,
        domains=tuple(read_domains(document.get("domain", []), path)),
        repositories=tuple(read_repositories(document.get("repository", []), path, packing)),
        webhooks=tuple(read_webhooks(document.get(WEBHOOK, []), path, variables)),
        locations=tuple(read_locations(document.get(LOCATION, []), path, variables)),
        tier_rules=tuple(read_tiers(document.get(TIER, []), path)),
    )
    refuse_unknown(
        (name for name in variables if name.startswith(PREFIX) and not _FOREIGN.fullmatch(name)),
        {*known, PREFIX + "CONFIG", *_variables_of_keys(settings.keys)},
        "environment variable",
    )
    _check(settings)
    return Loaded(settings, sources, path)


def environment() -> Mapping[str, str]:
    """The process's, for keys that are in it."""
    return os.environ


def _with_files(environ: Mapping[str, str], known: set[str]) -> dict[str, str]:
    """The environment with `NAME_FILE` read into `NAME` for each of the `known`. Raises SettingsError."""
    variables = dict(environ)
    for name in known:
        from_file = name + _FROM_FILE
        if from_file in known or from_file not in variables:
            continue
        if name in variables:
            raise SettingsError(f"{name} and {from_file} are both set; leave one of them out")
        path = variables.pop(from_file)
        try:
            variables[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(f"{from_file}: {path} cannot be read: {reason}") from None
    return variables


def _variables_of_keys(keys: Keys) -> Iterator[str]:
    for reference in (keys.provider, keys.former):
        kind, _, name = (reference or "").partition(":")
        if kind == "environment":
            yield name


def _read_file(given: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    """The named file, or the data folder's own; a named one must exist."""
    named = given.get("config") or variables.get(PREFIX + "CONFIG")
    if named:
        path = Path(named).expanduser()
    else:
        data = given.get("data") or variables.get(PREFIX + "DATA") or "data"
        path = Path(data).expanduser() / FILE_NAME
        if not path.is_file():
            return None, {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the configuration file {path} is not TOML: {error}") from None
    top = {entry.name for entry in dataclasses.fields(Server)}
    groups = set(_GROUPS) - {"server"}
    refuse_unknown(document, top | groups | TABLES | {WEBHOOK, LOCATION, TIER}, f"key in {path}:")
    for group in groups & document.keys():
        if not isinstance(document[group], dict):
            raise SettingsError(f"{group} in {path} must be a table, written as [{group}]")
        names = {entry.name for entry in dataclasses.fields(_GROUPS[group])}
        refuse_unknown(document[group], names, f"key in [{group}] of {path}:")
    return path, document


#: Limits that at 0 would refuse every request or drop everything at once.
_NEVER_ZERO: Mapping[str, tuple[str, ...]] = {
    "limits": ("header_bytes", "idle", "stall", "keepalive"),
    "uploads": ("open", "expiry", "draft_expiry"),
    "pack": ("rate",),
    "tiers": ("rate",),
}


def _check(settings: Settings) -> None:
    """What no single value can tell."""
    server = settings.server
    url = settings.database.url
    if url is not None and not url.startswith(_DATABASE_SCHEMES):
        raise SettingsError(f"database.url must begin with {_DATABASE_SCHEMES[0]}; without it SQLite is used")
    if settings.database.connections < 2:
        raise SettingsError("database.connections is below 2: half are for look-ups, the others for writing")
    if (server.tls_cert is None) != (server.tls_key is None):
        raise SettingsError("tls_cert and tls_key go together; one of them is missing")
    if server.workers < 1:
        raise SettingsError("workers is 0: at least one process must serve")
    smallest = 4 * 2**20
    if settings.limits.manifest_bytes < smallest:
        raise SettingsError(
            "limits.manifest_bytes is below 4 MiB, which the specification asks a registry to accept"
        )
    for group, names in _NEVER_ZERO.items():
        for name in names:
            if not getattr(getattr(settings, group), name):
                raise SettingsError(
                    f"{group}.{name} is 0, which lets nothing through; leave it out or raise it"
                )
    check_rules(settings.repositories, settings.domains, has_keys=settings.keys.provider is not None)
    _check_storage(settings)
    if (settings.events.cert is None) != (settings.events.key is None):
        raise SettingsError("events.cert and events.key go together; one of them is missing")
    if settings.limits.buffer_bytes < smallest:
        raise SettingsError("limits.buffer_bytes is below 4 MiB: a few uploads would starve each other")


def _check_storage(settings: Settings) -> None:
    if settings.storage.storage_class in TO_RESTORE:
        raise SettingsError(
            f"storage.storage_class {settings.storage.storage_class} has to be restored before each read: "
            "leave it out, and let [[tier]] rules move content to a [[location]] of that class"
        )
    try:
        bucket = bucket_of(settings.storage)
        for rule in settings.locations:
            secondary_of(rule)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    check_apart(settings.locations, settings.server.data)
    check_tiers(settings.tier_rules, (PRIMARY, *(rule.name for rule in settings.locations)))
    sealed = next((domain.name for domain in settings.domains if domain.sealed), None)
    if bucket is not None and sealed is not None:
        raise SettingsError(
            f"the domain {sealed} is sealed, and storage.url keeps content in a bucket, where nothing can be "
            "sealed yet: leave one of the two out"
        )
    open_place = next((rule.name for rule in settings.locations if rule.scheme == "s3"), None)
    if open_place is not None and sealed is not None:
        raise SettingsError(
            f"the domain {sealed} is sealed, and the location {open_place} is a bucket, where nothing can be "
            "sealed yet: leave one of the two out"
        )
