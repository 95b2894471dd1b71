"""The followers that the settings ask for, each with what opens its sink."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from registry.contract.delivery import Sink
from registry.contract.errors import StoreError
from registry.control.followers import Follower
from registry.server.settings import Settings
from registry.server.settings_groups import Events
from registry.server.settings_parsing import SettingsError
from registry.server.webhook_rules import EVENTS, WebhookRule
from registry.sinks import opening
from registry.sinks.signing import SecretError, parse_secrets

#: What NATS takes as a stream's name, and as tokens of a subject.
_STREAM = re.compile(r"[^\s.*>/\\]+")
_SUBJECT = re.compile(r"[^\s.*>]+(?:\.[^\s.*>]+)*")


def followers_of(settings: Settings) -> tuple[Follower, ...]:
    """All of them. Touches no network, but reads files of secrets. Raises SettingsError."""
    return tuple(_followers(settings))


def _followers(settings: Settings) -> Iterator[Follower]:
    events = settings.events
    if events.url is not None:
        yield Follower(
            EVENTS, _sink_of(events, events.url), target=opening.shown(events.url), source=events.source
        )
    for rule in settings.webhooks:
        yield Follower(
            rule.name,
            _webhook(rule),
            target=opening.shown(rule.url),
            kinds=rule.kinds,
            repositories=rule.repositories,
            from_now=rule.start == "now",
            attempts=rule.attempts,
            source=events.source,
        )


def _sink_of(events: Events, url: str) -> Callable[[], Sink]:
    scheme = opening.scheme_of(url)
    if scheme in opening.NATS:
        return _nats(events, url)
    if scheme in opening.HTTP:
        if events.secret_file is None:
            raise SettingsError("events.secret_file is missing: events to an https:// URL are signed")
        return _webhook(WebhookRule(EVENTS, url, secret_file=events.secret_file, ca=events.ca))
    try:
        make = opening.find_plugin(url)
        make(url)  # touches no network; what is wrong with the URL is said at the start
        return partial(make, url)
    except StoreError as error:
        raise SettingsError(f"events.url: {error.message}") from None


def _nats(events: Events, url: str) -> Callable[[], Sink]:
    if not _STREAM.fullmatch(events.stream):
        raise SettingsError("events.stream has a character that no stream of NATS may have: space . * > / \\")
    if not _SUBJECT.fullmatch(events.subject):
        raise SettingsError("events.subject must be words parted by dots, without spaces, * and >")
    servers = opening.nats_servers(url)
    if not servers:
        raise SettingsError("events.url names no server; write nats://HOST:4222")
    try:
        # Late, and here: a registry without NATS does without its library, one with it says so at its start.
        from registry.sinks.jetstream import JetStreamSettings, JetStreamSink
    except ImportError:
        raise SettingsError(
            "events.url names NATS, whose library is not installed: pip install 'artifact-store[nats]'"
        ) from None
    settings = JetStreamSettings(
        servers,
        stream=events.stream,
        prefix=events.subject,
        cbor=events.format == "cbor",
        credentials=events.credentials,
        ca=events.ca,
        cert=events.cert,
        key=events.key,
        replicas=max(1, events.replicas),
        duplicates=events.duplicates,
    )
    return lambda: JetStreamSink(settings)


def _webhook(rule: WebhookRule) -> Callable[[], Sink]:
    from registry.sinks.webhook import WebhookSettings, WebhookSink  # late: most registries have none

    where = f"the webhook {rule.name}"
    text = _read_secret(rule.secret_file, where) if rule.secret_file is not None else rule.secret or ""
    try:
        secrets = parse_secrets(text)
    except SecretError as error:
        raise SettingsError(f"{where}: {error}") from None
    settings = WebhookSettings(rule.url, secrets, rule.timeout, rule.ca)
    return lambda: WebhookSink(settings)


def _read_secret(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{where}: its secret_file {path} cannot be read: {reason}") from None
