"""Every setting that flags, environment and file can give, with its default and why that is right."""

# ruff: noqa: RUF009  (setting is dataclasses.field with our metadata, evaluated once like it)

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    SECRET,
    SHARE,
    SIZE,
    TEXT,
    URL,
    one_of,
    setting,
)

_CHAIN = "the SDK's own chain"


@dataclass(frozen=True, slots=True)
class Server:
    """The process and its address."""

    data: Path = setting(
        Path("data"), PATH, "The folder that holds everything. Back up this one. Replicas have none."
    )
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
    drain_delay: float = setting(
        0.0,
        DURATION,
        "How long before that requests are still taken while /readyz says no, so that a balancer looks away.",
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
        "postgresql://USER@HOST/NAME keeps the ledger in a PostgreSQL database, which replicas can share; "
        "libpq's parameters may follow, such as ?sslmode=verify-full&sslrootcert=FILE.",
        none="SQLite in the data folder",
        flag="--database",
    )
    connections: int = setting(
        16,
        COUNT,
        "To PostgreSQL, of each worker at most; keep those of all replicas below its max_connections.",
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the bytes of content arrive. All but the first three is for a bucket. More places stand in the
    file, as `[[location]]`."""

    url: str | None = setting(
        None,
        URL,
        "s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=BOOL keeps content in a bucket; endpoint, "
        "region and path_style may be left out.",
        none="files in the data folder",
        flag="--storage",
    )
    tier: str = setting(
        "hot",
        one_of("hot", "warm"),
        "What this place counts as beside others; of two that answer at once, hot ones are read first.",
    )
    jurisdiction: str | None = setting(
        None, TEXT, "Whose law the medium stands under, such as de, for domains that say where they may lie."
    )
    access_key: str | None = setting(None, TEXT, "Credentials. Goes with secret_key.", none=_CHAIN)
    secret_key: str | None = setting(
        None, SECRET, "Better in the environment or the file than on a command line.", none=_CHAIN
    )
    ca: Path | None = setting(
        None, PATH, "PEM file of the authorities to trust for the endpoint.", none="the system's"
    )
    storage_class: str | None = setting(
        None, TEXT, "Of content, such as STANDARD_IA; it must answer at once.", none="the bucket's"
    )
    sse: str | None = setting(
        None,
        one_of("aes256", "aws:kms"),
        "Encryption by the service: SSE-S3 or SSE-KMS.",
        none="the bucket's",
    )
    sse_key: str | None = setting(None, TEXT, "Key id for aws:kms.", none="the account's default key")
    lock_mode: str | None = setting(
        None,
        one_of("governance", "compliance"),
        "Puts content under Object Lock, so that not even this program deletes it for lock_days.",
    )
    lock_days: int = setting(0, COUNT, "How long, from the last time that content came in.")
    redirect_bytes: int | None = setting(
        None,
        SIZE,
        "Sends readers of blobs from this size on to presigned URLs: saves bandwidth here, and gives away "
        "the access check for redirect_for.",
        none="never",
    )
    redirect_for: float = setting(300.0, DURATION, "How long such a URL works.")
    redirect_endpoint: str | None = setting(
        None, URL, "The endpoint as clients reach it, where that is another.", none="the URL's endpoint"
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
    verify_reads: bool = setting(
        False, FLAG, "Read a whole blob through and compare it before its first byte is sent."
    )


@dataclass(frozen=True, slots=True)
class Pack:
    """When blobs that have lain for a while are cut to chunks, each kept once, and compressed."""

    every: float = setting(
        24 * 3600.0,
        DURATION,
        "Between two looks for blobs to pack; 0 leaves them to the command pack.",
    )
    after: float | None = setting(
        PackRule().after,
        DURATION_OR_NEVER,
        "Age at which a blob is packed: new ones are read most, and whole ones read fastest.",
        none="never",
    )
    at_least: int = setting(PackRule().at_least, SIZE, "Smaller blobs stay whole.")
    at_most: int | None = setting(PackRule().at_most, SIZE, "Larger blobs stay whole.", none="no limit")
    codec: str = setting(PackRule().codec, CODEC, "How chunks are compressed that compress at all.")
    level: int = setting(
        PackRule().level, LEVEL, "Level of zstd; 9 stores a twelfth less than 3, and takes its time for it."
    )
    rate: int = setting(
        32 * 2**20, SIZE, "Bytes that packing goes through in a second: a sixth of one processor."
    )
    dead: float = setting(
        0.25, SHARE, "Part of a pack that nothing needs any more when a collection rewrites the pack."
    )
    grace: float = setting(
        3600.0, DURATION, "How long a pack is left alone after something in it died, for who reads it."
    )


@dataclass(frozen=True, slots=True)
class Tiers:
    """When content moves between locations. What moves where stands in the file, as [[tier]]."""

    every: float = setting(
        24 * 3600.0,
        DURATION,
        "Between two looks for content that belongs elsewhere; 0 leaves them to the command tiers.",
    )
    rate: int = setting(32 * 2**20, SIZE, "Bytes that move in a second; each is read, written and read back.")
    rest: float = setting(
        24 * 3600.0,
        DURATION,
        "Nothing moves that was stored, pushed or asked for within this time: it may be asked for again.",
    )
    restore_on_read: bool = setting(
        False,
        FLAG,
        "A read of what is away asks for its restore. Restores cost money, and anybody who may read could.",
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """What wraps the keys of sealed domains."""

    provider: str | None = setting(
        None,
        PROVIDER,
        "file:PATH or environment:VARIABLE with 32 random bytes in base64, or command:KEY=PROGRAM.",
    )
    former: str | None = setting(
        None, PROVIDER, "What wrapped them before, until `artifact-store keys rotate` has wrapped them anew."
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
