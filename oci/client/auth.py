"""From a challenge to an Authorization header: Basic, or a Bearer token from the registry's token service.

Source: distribution's "Token Authentication Specification" and its OAuth 2 variant.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import urlencode, urlsplit

from oci.client.challenge import Challenge, parse_challenges
from oci.client.credentials import Credentials
from oci.client.errors import UnauthorizedError, response_error

#: Sends one request without authorization of ours: (method, url, headers, body) to (status, headers, body).
Send = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[tuple[int, Mapping[str, str], bytes]]]

_REPOSITORY_PATH = re.compile(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/")


def scope_of(method: str, path: str) -> str:
    """The scope that a request needs, as token services spell it ("" for none)."""
    match = _REPOSITORY_PATH.match(path)
    if match is None:
        return "registry:catalog:*" if path.startswith("/v2/_catalog") else ""
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "pull,push")
    return f"repository:{match[1]}:{actions}"


class Authorizer:
    """One registry's headers by scope. Credentials are looked up once, and only when it asks for them."""

    def __init__(
        self, host: str, send: Send, credentials: Callable[[], Awaitable[Credentials | None]], *, secure: bool
    ) -> None:
        self._host = host
        self._send = send
        self._look_up = credentials
        self._secure = secure
        self._credentials: Credentials | None = None
        self._looked_up = False
        self._headers: dict[str, str] = {}
        self._lock = asyncio.Lock()

    def header(self, scope: str) -> str | None:
        """The header that worked for `scope` before, if any."""
        return self._headers.get(scope)

    async def answer(self, scope: str, refused: str | None, challenges: Iterable[str]) -> str:
        """A new header after a 401 for `refused` (the header that was sent). Raises UnauthorizedError."""
        async with self._lock:
            present = self._headers.get(scope)
            if present is not None and present != refused:
                return present  # another request has just been through this
            if not self._looked_up:
                self._credentials = await self._look_up()
                self._looked_up = True
            header = await self._negotiate(scope, parse_challenges(challenges))
            if header == refused:
                raise self.refusal()
            self._headers[scope] = header
            return header

    async def _negotiate(self, scope: str, challenges: tuple[Challenge, ...]) -> str:
        for challenge in challenges:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                return "Bearer " + await self._token(scope, challenge.parameters)
        for challenge in challenges:
            if challenge.scheme == "basic":
                if self._credentials is None or not self._credentials.username:
                    raise self._unauthorized(
                        "it asks for a password, docker's credentials file has none for it"
                    )
                return self._credentials.basic()
        offered = ", ".join(challenge.scheme for challenge in challenges) or "none"
        raise self._unauthorized(f"it asks for a way of authentication that is not known here ({offered})")

    async def _token(self, scope: str, parameters: Mapping[str, str]) -> str:
        realm = parameters["realm"]
        if urlsplit(realm).scheme not in ("https", "http") or (
            self._secure and not realm.startswith("https:")
        ):
            raise self._unauthorized(
                f"its token service {realm} is not reached by https; nothing was sent there"
            )
        query = {"service": parameters["service"]} if "service" in parameters else {}
        if wanted := parameters.get("scope") or scope:
            query["scope"] = wanted
        if self._credentials is not None and self._credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": self._credentials.identity_token,
                "client_id": "artifact-store",
                **query,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            status, got, body = await self._send("POST", realm, headers, urlencode(form).encode())
        else:
            headers = {} if self._credentials is None else {"Authorization": self._credentials.basic()}
            separator = "&" if "?" in realm else "?"
            # A scope may list several, parted by spaces; the service wants one parameter for each.
            pairs = [(key, part) for key, value in query.items() for part in value.split(" ")]
            url = realm + separator + urlencode(pairs) if pairs else realm
            status, got, body = await self._send("GET", url, headers, None)
        if status in (401, 403):
            raise self.refusal()
        if status != 200:
            raise response_error(f"the token service of {self._host}", status, got, body)
        return self._token_in(body)

    def _token_in(self, body: bytes) -> str:
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            for key in ("token", "access_token"):
                if isinstance(document.get(key), str) and re.fullmatch(r"[\x21-\x7e]+", document[key]):
                    return str(document[key])
        raise self._unauthorized("its token service answered without a token")

    def refusal(self) -> UnauthorizedError:
        """The exception for an answer of 401 to all that could be offered."""
        if self._credentials is None:
            return self._unauthorized("it asks for credentials, docker's credentials file has none for it")
        return self._unauthorized("it refuses the credentials of docker's credentials file")

    def _unauthorized(self, why: str) -> UnauthorizedError:
        return UnauthorizedError(
            401, f"{self._host} does not let us in: {why}. Try: docker login {self._host}"
        )
