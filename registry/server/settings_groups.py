"""Every setting that flags, environment and file can give, with its default and why that is right."""

# ruff: noqa: RUF009  (_setting is dataclasses.field with our metadata, evaluated once like it)

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.server.settings_rules import PackRule
from registry.server.values import (
    ADDRESS,
    CODEC,
    COUNT,
    DURATION,
    DURATION_OR_NEVER,
    FLAG,
    LEVEL,
    PATH,
    PROVIDER,
    SHARE,
    SIZE,
    URL,
    Kind,
    one_of,
)


def _setting(default: Any, kind: Kind, reason: str, *, none: str = "none") -> Any:
    """One setting: its default, its kind, and why the default is right. `none` is how None is printed."""
    return field(default=default, metadata={"kind": kind, "reason": reason, "none": none})


@dataclass(frozen=True, slots=True)
class Server:
    """The process and its address."""

    data: Path = _setting(Path("data"), PATH, "The folder that holds everything. Back up this one.")
    listen: str = _setting(
        "127.0.0.1:5000",
        ADDRESS,
        "HOST:PORT. Loopback, since nobody is asked who they are yet; port 0 picks a free one.",
    )
    workers: int = _setting(
        1, COUNT, "Processes that share the port. One serves a team; more use more cores."
    )
    loop: str = _setting(
        "auto",
        one_of("auto", "uvloop", "asyncio"),
        "The event loop: uvloop where it is installed, which is faster.",
    )
    behind_proxy: bool = _setting(
        False,
        FLAG,
        "Says that a proxy in front authenticates and encrypts; needed to listen beyond loopback.",
    )
    tls_cert: Path | None = _setting(
        None, PATH, "PEM file with the certificate chain, for TLS without a proxy. Goes with tls_key."
    )
    tls_key: Path | None = _setting(None, PATH, "PEM file with the private key of tls_cert.")
    drain: float = _setting(
        30.0, DURATION, "How long requests in flight may go on after SIGTERM; what container platforms grant."
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to stderr."""

    level: str = _setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "The least severity written; info is a line per start.",
    )
    format: str = _setting(
        "text", one_of("text", "json"), "text for people, json (one object a line) for collectors."
    )
    access: bool = _setting(
        True, FLAG, "One line per request; false saves its CPU where a proxy logs already."
    )


@dataclass(frozen=True, slots=True)
class Database:
    """Where the ledger and its views live."""

    url: str | None = _setting(
        None,
        URL,
        "SQLAlchemy URL such as postgresql+asyncpg://user@host/name; none keeps SQLite in the data folder.",
        none="SQLite in the data folder",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client can ask of the server."""

    manifest_bytes: int = _setting(
        16 * 2**20,
        SIZE,
        "Largest OCI manifest. The specification asks for 4 MiB at least; indexes can be larger.",
    )
    header_bytes: int = _setting(
        32 * 2**10, SIZE, "Longest request line or header field; tokens with many group claims reach 16 KiB."
    )
    buffer_bytes: int = _setting(
        64 * 2**20,
        SIZE,
        "Memory for bodies in flight, all uploads of a worker together; beyond it senders wait.",
    )
    idle: float = _setting(
        60.0, DURATION, "How long a request body may bring no byte. There is no deadline for the whole body."
    )
    stall: float = _setting(
        60.0, DURATION, "How long a reader may take no byte before its connection is cut."
    )
    keepalive: float = _setting(
        75.0,
        DURATION,
        "How long a connection may be idle or sit on an unfinished request head; proxies use 60 s.",
    )


@dataclass(frozen=True, slots=True)
class Uploads:
    """Unfinished work."""

    max_bytes: int | None = _setting(
        None, SIZE, "Largest single blob; the disk is the limit.", none="no limit"
    )
    open: int = _setting(10_000, COUNT, "Sessions open at once; each is a file and a row.")
    expiry: float = _setting(
        24 * 3600.0, DURATION, "How long a session without a new byte is kept for resumption."
    )
    draft_expiry: float = _setting(
        24 * 3600.0, DURATION, "How long a package draft without a change is kept."
    )


@dataclass(frozen=True, slots=True)
class Care:
    """How the store looks after itself while it serves."""

    lease: float = _setting(
        24 * 3600.0,
        DURATION,
        "How long content that no manifest names stays after it came or was asked for: pushes take hours.",
    )
    collect: float = _setting(
        3600.0, DURATION, "Between two collections of what nothing holds; 0 leaves them to the command gc."
    )
    delay: float = _setting(
        10.0, DURATION, "How long bytes stay after their content was removed, for readers under way."
    )
    orphans: float = _setting(
        24 * 3600.0,
        DURATION,
        "Between two walks over all stored bytes for some without a row, and how long such bytes stay.",
    )
    scrub_bytes: int = _setting(
        16 * 2**20,
        SIZE,
        "Bytes that the scrub reads in a second, a tenth of what a slow disk gives; 0 turns it off.",
    )
    scrub_age: float = _setting(
        30 * 24 * 3600.0, DURATION, "Content is read again when its last verification is older than this."
    )
    verify_reads: bool = _setting(
        False, FLAG, "Read a whole blob through and compare it before its first byte is sent."
    )


@dataclass(frozen=True, slots=True)
class Pack:
    """When blobs that have lain for a while are cut to chunks, each kept once, and compressed."""

    every: float = _setting(
        24 * 3600.0,
        DURATION,
        "Between two looks for blobs to pack; 0 leaves them to the command pack.",
    )
    after: float | None = _setting(
        PackRule().after,
        DURATION_OR_NEVER,
        "Age at which a blob is packed: new ones are read most, and whole ones read fastest.",
        none="never",
    )
    at_least: int = _setting(PackRule().at_least, SIZE, "Smaller blobs stay whole.")
    at_most: int | None = _setting(PackRule().at_most, SIZE, "Larger blobs stay whole.", none="no limit")
    codec: str = _setting(PackRule().codec, CODEC, "How chunks are compressed that compress at all.")
    level: int = _setting(
        PackRule().level, LEVEL, "Level of zstd; 9 stores a twelfth less than 3, and takes its time for it."
    )
    rate: int = _setting(
        32 * 2**20, SIZE, "Bytes that packing goes through in a second: a sixth of one processor."
    )
    dead: float = _setting(
        0.25, SHARE, "Part of a pack that nothing needs any more when a collection rewrites the pack."
    )
    grace: float = _setting(
        3600.0, DURATION, "How long a pack is left alone after something in it died, for who reads it."
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """What wraps the keys of sealed domains."""

    provider: str | None = _setting(
        None,
        PROVIDER,
        "file:PATH or environment:VARIABLE with 32 random bytes in base64, or command:KEY=PROGRAM.",
    )
    former: str | None = _setting(
        None, PROVIDER, "What wrapped them before, until `artifact-store keys rotate` has wrapped them anew."
    )
