"""Key providers: who holds the key-encryption keys that wrap the data keys of domains.

A file or an environment variable holds such a key itself: 32 random bytes in base64, as
`openssl rand -base64 32` prints. A command speaks to a key service or a hardware module that never gives
its key away.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.contract.dataplane import DomainId
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Corrupt, Transient
from registry.dataplane.sealing.xaes import KEY, Unauthentic, Xaes

#: A wrapped key is no longer than this, in bytes.
LONGEST = 16 << 10


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which data key: `id` are 16 random bytes. What wraps a key binds it to its name."""

    domain: DomainId
    id: bytes

    def __str__(self) -> str:
        return f"{self.domain}/{self.id.hex()}"


class KeyProvider(Protocol):
    """Wraps and unwraps data keys. Called in any thread, blocks as long as it takes."""

    @property
    def id(self) -> str:
        """The name of the key-encryption key, kept beside what it wrapped: another key, another name.

        At most 200 printable characters, and no secret.
        """
        ...

    def wrap(self, name: KeyName, key: bytes) -> bytes:
        """`key` (32 bytes) so that only this provider can unwrap it. Raises Transient."""
        ...

    def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        """The key again. Raises Transient, and Corrupt for what this provider surely did not wrap."""
        ...


class LocalProvider:
    """A provider that has its key in memory; wraps by XAES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        """`key` are 32 random bytes."""
        self._xaes = Xaes(key)
        self.id = "local:" + hmac.digest(key, b"artifact-store key id", "sha256").hex()[:32]

    def wrap(self, name: KeyName, key: bytes) -> bytes:
        return self._xaes.seal(key, _associated(name))

    def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        try:
            return self._xaes.open(wrapped, _associated(name))
        except Unauthentic:
            raise Corrupt(f"the wrapped key {name} was changed, or another key wrapped it") from None


def file_provider(path: Path) -> LocalProvider:
    """The key in a file. Raises StoreError INTERNAL with what to do when it holds none, OSError."""
    return LocalProvider(_decoded(path.read_bytes(), f"the file {path}"))


def environment_provider(variable: str, environment: Mapping[str, str]) -> LocalProvider:
    """The key in an environment variable. Raises StoreError INTERNAL with what to do when it holds none."""
    return LocalProvider(_decoded(environment.get(variable, "").encode(), f"the variable {variable}"))


class CommandProvider:
    """A program that wraps and unwraps, started as `ARGV… wrap|unwrap DOMAIN KEY`.

    It reads the key (or what it wrapped) from its standard input and writes what it made of it, and nothing
    else, to its standard output. It should bind both names as context, as key services can. Anything but
    exit status 0 within `timeout` seconds is a failure that may pass; its standard error goes to the
    server's.
    """

    def __init__(self, argv: Sequence[str], id: str, timeout: float = 30.0) -> None:
        """`id` names the key the program uses, for instance its identifier in the key service."""
        self._argv = tuple(argv)
        self._timeout = timeout
        self.id = id

    def wrap(self, name: KeyName, key: bytes) -> bytes:
        wrapped = self._run("wrap", name, key)
        if not 0 < len(wrapped) <= LONGEST or key in wrapped:
            raise Transient(f"the key command {self._argv[0]} answered wrap with no wrapped key")
        return wrapped

    def unwrap(self, name: KeyName, wrapped: bytes) -> bytes:
        return self._run("unwrap", name, wrapped)

    def _run(self, operation: str, name: KeyName, data: bytes) -> bytes:
        command = [*self._argv, operation, name.domain, name.id.hex()]
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                command, input=data, stdout=subprocess.PIPE, timeout=self._timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise Transient(
                f"the key command {self._argv[0]} did not {operation} in {self._timeout:g} s"
            ) from None
        except OSError as error:
            raise Transient(
                f"the key command {self._argv[0]} cannot be started: {os.strerror(error.errno or 0)}"
            ) from error
        if done.returncode != 0:
            raise Transient(
                f"the key command {self._argv[0]} failed to {operation} with status {done.returncode}"
            )
        return done.stdout


def _associated(name: KeyName) -> bytes:
    return b"artifact-store data key 1\0" + name.domain.encode("ascii") + b"\0" + name.id


def _decoded(text: bytes, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY:
        raise StoreError(
            ErrorKind.INTERNAL,
            f"{source} holds no key: it should be {KEY} random bytes in base64, as "
            f"`openssl rand -base64 {KEY}` prints them",
        )
    return key
