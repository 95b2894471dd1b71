"""docker's credentials file: `auths`, `credHelpers` and `credsStore` of config.json.

Sources: docker/cli "config file" and the docker-credential-helpers protocol (`docker-credential-NAME get`,
the server on stdin, `{"ServerURL","Username","Secret"}` on stdout). Nothing here is ever written or logged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oci.client.errors import CredentialsError

#: What a helper says, with exit code 1, when it simply has nothing for that server.
_NOTHING = "credentials not found"
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_PATIENCE = 60.0
#: Docker Hub is called by three names.
_DOCKER_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; or an `identity_token` to be changed for an access token (OAuth 2)."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


async def find_credentials(folder: Path, host: str) -> Credentials | None:
    """What `folder`/config.json has for `host`; None where it has nothing. Raises CredentialsError."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CredentialsError(f"cannot read the credentials file {path}: {error}") from None
    if not isinstance(config, dict):
        raise CredentialsError(f"the credentials file {path} is not a JSON object")
    helper = _table(config, "credHelpers").get(host) or config.get("credsStore")
    if isinstance(helper, str) and helper:
        found = await _ask_helper(helper, host)
        if found is not None:
            return found
    for key in _keys(host, _table(config, "auths")):
        found = _entry(_table(config, "auths")[key], path, key)
        if found is not None:
            return found
    return None


def _keys(host: str, auths: Mapping[str, Any]) -> Iterator[str]:
    """The entries that mean `host`: the name itself, or a URL of it, as older dockers wrote."""
    names = _DOCKER_HUB if host in _DOCKER_HUB else (host,)
    for name in names:
        if name in auths:
            yield name
    for key in auths:
        if re.sub(r"^https?://", "", key).partition("/")[0] in names and key not in names:
            yield key


def _table(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _entry(entry: Any, path: Path, key: str) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    packed = entry.get("auth")
    if isinstance(packed, str) and packed:
        try:
            name, colon, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if not colon:
            raise CredentialsError(f"{path}: the entry of {key} is not base64 of name:password; log in again")
        return Credentials(name, password.rstrip("\0"))
    username, secret = entry.get("username"), entry.get("password")
    if isinstance(username, str) and isinstance(secret, str) and username:
        return Credentials(username, secret)
    return None


async def _ask_helper(helper: str, host: str) -> Credentials | None:
    if not _HELPER_NAME.fullmatch(helper):
        raise CredentialsError(f"the credentials file names a helper {helper!r}, which is no program's name")
    program = f"docker-credential-{helper}"
    server = _DOCKER_HUB[0] if host in _DOCKER_HUB else host
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise CredentialsError(
            f"the credentials file asks for {program}, which cannot be run: {error.strerror}"
        ) from None
    try:
        async with asyncio.timeout(_HELPER_PATIENCE):
            answer, complaint = await process.communicate(server.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CredentialsError(f"{program} did not answer within {_HELPER_PATIENCE:.0f} s") from None
    if process.returncode != 0:
        said = (answer + complaint).decode("utf-8", "replace").strip()
        if _NOTHING in said:
            return None
        raise CredentialsError(f"{program} failed for {host}: {said[:200] or process.returncode}")
    return _helpers_answer(program, answer)


def _helpers_answer(program: str, answer: bytes) -> Credentials:
    try:
        document = json.loads(answer)
        name, secret = str(document["Username"]), str(document["Secret"])
    except (ValueError, KeyError, TypeError):
        raise CredentialsError(f"{program} answered something that is no credential") from None
    if name == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(name, secret)
