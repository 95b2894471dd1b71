"""What can be set, from where, and why each default is what it is. The only place that reads the environment.

A value comes from the first source that has it: flag, environment, TOML file, default. One name serves all
three: `limits.manifest_bytes` is `--limits-manifest-bytes`, `ARTIFACT_STORE_LIMITS_MANIFEST_BYTES`, and the
key `manifest_bytes` under `[limits]`; settings of the group `server` go without the group's name. Keys nobody
knows are refused, because a misspelt limit is a limit that does not hold.
"""

# ruff: noqa: RUF009  (setting is dataclasses.field with our metadata, evaluated once like it)

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.server.setting_errors import SettingsError
from registry.server.setting_errors import parse as _parse
from registry.server.setting_errors import refuse_unknown as _refuse_unknown
from registry.server.storage_settings import Storage, bucket_of
from registry.server.values import (
    ADDRESS,
    COUNT,
    DURATION,
    FLAG,
    PATH,
    SIZE,
    TEXT,
    URL,
    Kind,
    one_of,
    setting,
)
from registry.server.webhook_rules import WebhookRule, read_webhooks

#: What names of environment variables begin with.
PREFIX = "ARTIFACT_STORE_"

#: The configuration file that is read when none is named and it is there, in the data folder.
FILE_NAME = "artifact-store.toml"


_DATABASE_SCHEME = "postgresql+asyncpg://"

#: Variables with our prefix that are not ours: the registry that clients walk, and what Docker links and
#: Kubernetes put into the environment of everything beside a service called artifact-store.
_FOREIGN = re.compile(
    PREFIX + r"(URL|SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP)(_.+)?|NAME|ENV_.+)"
)


@dataclass(frozen=True, slots=True)
class Server:
    """The process and its address."""

    data: Path = setting(Path("data"), PATH, "The folder that holds everything. Back up this one.")
    listen: str = setting(
        "127.0.0.1:5000",
        ADDRESS,
        "HOST:PORT. Loopback, since nobody is asked who they are yet; port 0 picks a free one.",
    )
    workers: int = setting(1, COUNT, "Processes that share the port. One serves a team; more use more cores.")
    loop: str = setting(
        "auto",
        one_of("auto", "uvloop", "asyncio"),
        "The event loop: uvloop where it is installed, which is faster.",
    )
    behind_proxy: bool = setting(
        False,
        FLAG,
        "Says that a proxy in front authenticates and encrypts; needed to listen beyond loopback.",
    )
    tls_cert: Path | None = setting(
        None, PATH, "PEM file with the certificate chain, for TLS without a proxy. Goes with tls_key."
    )
    tls_key: Path | None = setting(None, PATH, "PEM file with the private key of tls_cert.")
    drain: float = setting(
        30.0, DURATION, "How long requests in flight may go on after SIGTERM; what container platforms grant."
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to stderr."""

    level: str = setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "The least severity written; info is a line per start.",
    )
    format: str = setting(
        "text", one_of("text", "json"), "text for people, json (one object a line) for collectors."
    )
    access: bool = setting(
        True, FLAG, "One line per request; false saves its CPU where a proxy logs already."
    )


@dataclass(frozen=True, slots=True)
class Database:
    """Where the ledger and its views live."""

    url: str | None = setting(
        None,
        URL,
        "SQLAlchemy URL such as postgresql+asyncpg://user@host/name; none keeps SQLite in the data folder.",
        none="SQLite in the data folder",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client can ask of the server."""

    manifest_bytes: int = setting(
        16 * 2**20,
        SIZE,
        "Largest OCI manifest. The specification asks for 4 MiB at least; indexes can be larger.",
    )
    header_bytes: int = setting(
        32 * 2**10, SIZE, "Longest request line or header field; tokens with many group claims reach 16 KiB."
    )
    buffer_bytes: int = setting(
        64 * 2**20,
        SIZE,
        "Memory for bodies in flight, all uploads of a worker together; beyond it senders wait.",
    )
    idle: float = setting(
        60.0, DURATION, "How long a request body may bring no byte. There is no deadline for the whole body."
    )
    stall: float = setting(60.0, DURATION, "How long a reader may take no byte before its connection is cut.")
    keepalive: float = setting(
        75.0,
        DURATION,
        "How long a connection may be idle or sit on an unfinished request head; proxies use 60 s.",
    )


@dataclass(frozen=True, slots=True)
class Uploads:
    """Unfinished work."""

    max_bytes: int | None = setting(
        None, SIZE, "Largest single blob; the disk is the limit.", none="no limit"
    )
    open: int = setting(10_000, COUNT, "Sessions open at once; each is a file and a row.")
    expiry: float = setting(
        24 * 3600.0, DURATION, "How long a session without a new byte is kept for resumption."
    )
    draft_expiry: float = setting(24 * 3600.0, DURATION, "How long a package draft without a change is kept.")


@dataclass(frozen=True, slots=True)
class Care:
    """How the store looks after itself while it serves."""

    lease: float = setting(
        24 * 3600.0,
        DURATION,
        "How long content that no manifest names stays after it came or was asked for: pushes take hours.",
    )
    collect: float = setting(
        3600.0, DURATION, "Between two collections of what nothing holds; 0 leaves them to the command gc."
    )
    delay: float = setting(
        10.0, DURATION, "How long bytes stay after their content was removed, for readers under way."
    )
    orphans: float = setting(
        24 * 3600.0,
        DURATION,
        "Between two walks over all stored bytes for some without a row, and how long such bytes stay.",
    )
    scrub_bytes: int = setting(
        16 * 2**20,
        SIZE,
        "Bytes that the scrub reads in a second, a tenth of what a slow disk gives; 0 turns it off.",
    )
    scrub_age: float = setting(
        30 * 24 * 3600.0, DURATION, "Content is read again when its last verification is older than this."
    )


@dataclass(frozen=True, slots=True)
class Events:
    """Where the ledger's events go as they happen. Webhooks stand in the file, as `[[webhook]]`."""

    url: str | None = setting(
        None,
        URL,
        "Where all events go: nats://HOST,HOST or nats+tls:// for NATS JetStream, https:// for one webhook, "
        "or what a plugin knows.",
        none="nowhere",
        flag="--events",
    )
    format: str = setting(
        "json",
        one_of("json", "cbor"),
        "CloudEvents in NATS: JSON, or with the ledger's own CBOR, whose hash is the ledger's leaf.",
    )
    source: str | None = setting(
        None, TEXT, "The `source` of events, a URI.", none="urn:uuid: from the ledger's first event"
    )
    stream: str = setting(
        "artifact-store", TEXT, "The JetStream stream. It is made where there is none, else used as it is."
    )
    subject: str = setting("artifact-store", TEXT, "What NATS subjects begin with.")
    replicas: int = setting(1, COUNT, "Copies of a stream that is made; a cluster of three can have 3.")
    duplicates: float = setting(
        600.0, DURATION, "How long a stream that is made drops an event that comes twice, after a crash here."
    )
    credentials: Path | None = setting(None, PATH, "A NATS .creds file.")
    ca: Path | None = setting(
        None, PATH, "PEM file of the authorities to trust, for TLS.", none="the system's"
    )
    cert: Path | None = setting(None, PATH, "PEM file with a client certificate for NATS. Goes with key.")
    key: Path | None = setting(None, PATH, "PEM file with that certificate's key.")
    secret_file: Path | None = setting(
        None, PATH, "File with the secret that events to an https:// URL are signed with."
    )


@dataclass(frozen=True, slots=True)
class RepositoryRule:
    """`[[repository]]` in the file: what holds for repositories whose name matches. The first match decides.

    `match` is a glob (`*` any characters with slashes, `?` one, `[...]` a set). `sparse` accepts manifests
    whose blobs are absent, for partial mirrors. `immutable_tags` are globs of tags that never move once set.
    `untagged_after` lets manifests go that for so long had no tag, no index that lists them and no subject.
    """

    match: str
    sparse: bool = False
    immutable_tags: tuple[str, ...] = ()
    untagged_after: float | None = None


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
    events: Events = Events()
    repositories: tuple[RepositoryRule, ...] = ()
    webhooks: tuple[WebhookRule, ...] = ()


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
    "events": Events,
}


def options() -> Iterator[Option]:
    """Every setting, in the order of this page."""
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
    variables = os.environ if environ is None else environ
    known = {option.variable: option for option in options()}
    _refuse_unknown(
        (name for name in variables if name.startswith(PREFIX) and not _FOREIGN.fullmatch(name)),
        {*known, PREFIX + "CONFIG"},
        "environment variable",
    )
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
        values[option.group][option.name] = _parse(option.kind, raw, said)
        sources[option.key] = source
    settings = Settings(
        **{group: cls(**values[group]) for group, cls in _GROUPS.items()},
        repositories=tuple(_rules(document.get("repository", []), path)),
        webhooks=tuple(read_webhooks(document.get("webhook", []), path, variables)),
    )
    _check(settings)
    return Loaded(settings, sources, path)


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
    _refuse_unknown(document, top | groups | {"repository", "webhook"}, f"key in {path}:")
    for group in groups & document.keys():
        if not isinstance(document[group], dict):
            raise SettingsError(f"{group} in {path} must be a table, written as [{group}]")
        names = {entry.name for entry in dataclasses.fields(_GROUPS[group])}
        _refuse_unknown(document[group], names, f"key in [{group}] of {path}:")
    return path, document


def _rules(raw: Any, path: Path | None) -> Iterator[RepositoryRule]:
    if not isinstance(raw, list) or not all(isinstance(rule, dict) for rule in raw):
        raise SettingsError(f"repository in {path} must be written as [[repository]], once for each rule")
    for number, rule in enumerate(raw, 1):
        where = f"[[repository]] number {number} of {path}"
        _refuse_unknown(
            rule, {entry.name for entry in dataclasses.fields(RepositoryRule)}, f"key in {where}:"
        )
        if "match" not in rule:
            raise SettingsError(
                f'{where} has no match; write the repositories it is for, as match = "team/*"'
            )
        tags = rule.get("immutable_tags", [])
        if not isinstance(tags, list):
            raise SettingsError(f'immutable_tags in {where} must be a list of globs, such as ["v*"]')
        yield RepositoryRule(
            match=_parse(TEXT, rule["match"], f"match in {where}"),
            sparse=_parse(FLAG, rule.get("sparse", False), f"sparse in {where}"),
            immutable_tags=tuple(_parse(TEXT, tag, f"immutable_tags in {where}") for tag in tags),
            untagged_after=None
            if "untagged_after" not in rule
            else _parse(DURATION, rule["untagged_after"], f"untagged_after in {where}"),
        )


#: Limits that at 0 would refuse every request or drop everything at once.
_NEVER_ZERO: Mapping[str, tuple[str, ...]] = {
    "limits": ("header_bytes", "idle", "stall", "keepalive"),
    "uploads": ("open", "expiry", "draft_expiry"),
}


def _check(settings: Settings) -> None:
    """What no single value can tell."""
    server = settings.server
    url = settings.database.url
    if url is not None and not url.startswith(_DATABASE_SCHEME):
        raise SettingsError(f"database.url must begin with {_DATABASE_SCHEME}; without it SQLite is used")
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
    try:
        bucket_of(settings.storage)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if (settings.events.cert is None) != (settings.events.key is None):
        raise SettingsError("events.cert and events.key go together; one of them is missing")
    if settings.limits.buffer_bytes < smallest:
        raise SettingsError("limits.buffer_bytes is below 4 MiB: a few uploads would starve each other")
