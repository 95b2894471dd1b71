"""`[host[:port]/]repository[:tag|@digest]`, as people type it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from oci.client.errors import InvalidReferenceError
from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.names import Reference, Repository, Tag, parse_repository, parse_tag

DEFAULT_HOST = "127.0.0.1:5000"
DEFAULT_TAG = Tag("latest")

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class RemoteReference:
    """A repository at a host, and the tag or digest in it when one was given."""

    host: str
    repository: Repository
    reference: Reference | None

    def __str__(self) -> str:
        if self.reference is None:
            return f"{self.host}/{self.repository}"
        mark = "@" if isinstance(self.reference, Digest) else ":"
        return f"{self.host}/{self.repository}{mark}{self.reference}"


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """A host, and a repository of it when one was given."""

    host: str
    repository: Repository | None


def parse_reference(text: str) -> RemoteReference:
    """Read a full reference; with tag and digest it means the digest. Raises InvalidReferenceError."""
    host, rest = _split_host(text)
    rest, at, digest = rest.partition("@")
    name, colon, tag = rest.rpartition(":") if ":" in rest.rpartition("/")[2] else (rest, "", "")
    if not name:
        raise InvalidReferenceError(f"{text!r} is no [host[:port]/]repository[:tag|@digest]")
    try:
        repository = parse_repository(name)
        reference: Reference | None = None
        if colon:
            reference = parse_tag(tag)
        if at:
            reference = Digest.parse(digest)
    except StoreError as error:
        raise InvalidReferenceError(f"{text!r}: {error.message}") from None
    return RemoteReference(host, repository, reference)


def parse_place(text: str | None) -> RemotePlace:
    """Read `[HOST[/REPOSITORY]]`; without a host the default one. Raises InvalidReferenceError."""
    if not text:
        return RemotePlace(DEFAULT_HOST, None)
    host, rest = _split_host(text if "/" in text or not _is_host(text) else text + "/")
    if not rest.strip("/"):
        return RemotePlace(host, None)
    found = parse_reference(f"{host}/{rest.rstrip('/')}")
    if found.reference is not None:
        raise InvalidReferenceError(f"{text!r}: give the repository without a tag or digest")
    return RemotePlace(host, found.repository)


def is_loopback(host: str) -> bool:
    """Does `host[:port]` mean this machine?"""
    match = _HOST.fullmatch(host)
    name = (match[1] if match else host).strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _split_host(text: str) -> tuple[str, str]:
    if "://" in text:
        raise InvalidReferenceError(
            f"{text!r}: leave out {text.partition('://')[0]}://, write host:port/name"
        )
    first, slash, rest = text.partition("/")
    if slash and _is_host(first):
        match = _HOST.fullmatch(first)
        if match is None or (match[2] is not None and not 0 < int(match[2]) < 65536):
            raise InvalidReferenceError(f"{first!r} is no host; write it as name:port")
        return first, rest
    return DEFAULT_HOST, text


def _is_host(first: str) -> bool:
    """Docker's rule: the part before the first slash is a host when it could not be part of a name."""
    if first == "localhost" or first.startswith("["):
        return True
    host, colon, port = first.partition(":")
    return "." in host or (bool(colon) and port.isdigit()) or host != host.lower()
