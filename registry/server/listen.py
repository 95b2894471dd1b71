"""Addresses to listen on: parsed, judged, bound."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from registry.server.settings import Settings

#: Connections the kernel holds until a worker takes them. The kernel caps it at net.core.somaxconn.
_BACKLOG = 1024

_HINTS = {
    errno.EADDRINUSE: "; another program has the port, `--listen HOST:0` picks a free one",
    errno.EADDRNOTAVAIL: "; no network interface of this machine has that address",
    errno.EACCES: "; ports below 1024 need privileges",
}


class ListenError(Exception):
    """An address that cannot be used; the message says why and what would do."""


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT` (every address) as host and port."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ListenError(f"listen is {text!r}; it must be HOST:PORT, such as 127.0.0.1:5000 or [::1]:5000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"listen is {text!r}; an IPv6 address is written in brackets, such as [::1]:5000")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name counts when all it stands for does."""
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(address)).is_loopback for address in found)


def check_exposure(settings: Settings) -> None:
    """Closed by default: beyond loopback somebody must authenticate and encrypt. Raises ListenError."""
    host, _ = parse_listen(settings.server.listen)
    if settings.server.behind_proxy or is_loopback(host):
        return
    raise ListenError(
        f"{settings.server.listen} can be reached from other machines, and this server asks nobody who they "
        "are. Listen on 127.0.0.1, or put a proxy in front that authenticates and encrypts, and say so with "
        "--behind-proxy (ARTIFACT_STORE_BEHIND_PROXY=true, or behind_proxy = true in the configuration file)"
    )


def bind(text: str) -> socket.socket:
    """A listening socket on `text`, not blocking. Raises ListenError."""
    host, port = parse_listen(text)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except socket.gaierror as error:
        raise ListenError(f"cannot listen on {text}: {error.strerror}") from None
    except OSError as error:
        # socket.create_server adds the address to strerror, once more.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ListenError(f"cannot listen on {text}: {reason}{_HINTS.get(error.errno or 0, '')}") from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket, *, tls: bool) -> str:
    """How a client on this machine says the socket's address."""
    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
