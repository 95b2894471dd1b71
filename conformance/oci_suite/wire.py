"""Sends requests to the registry; nothing else in the suite speaks HTTP, but rawsocket."""

import types
from collections.abc import Iterable, Mapping
from typing import Self
from urllib.parse import quote, urljoin

import httpx

from .exchange import Exchange, Request
from .expect import MismatchError


class Wire:
    """A registry's address with a pool of connections; safe to use from several threads."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url.rstrip("/") + "/"
        self.headers = dict(headers)
        self._client = httpx.Client(
            headers={"Accept-Encoding": "identity", "User-Agent": "oci-suite", **headers},
            timeout=httpx.Timeout(60.0),
            limits=httpx.Limits(max_connections=64),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Exchange:
        """One request to a path or URL. A body that is not bytes is sent chunked, without Content-Length.

        Reads follow redirects, as the specification wants the status after them. A lost connection or a 5xx
        is a MismatchError whatever the rule: no input entitles a registry to either.
        """
        url = urljoin(self.url, target)
        request = self._client.build_request(method, url, headers=headers, content=body)
        size = (
            None if "transfer-encoding" in request.headers else int(request.headers.get("content-length", 0))
        )
        told = Request(method, url, request.headers, size)
        try:
            response = self._client.send(request, follow_redirects=method in ("GET", "HEAD"))
        except httpx.HTTPError as error:
            came = f"no response: {type(error).__name__} {error}"
            raise MismatchError(str(told), came, "an HTTP response") from error
        answer = Exchange(told, response.status_code, response.headers, response.content)
        if answer.status >= 500:
            raise MismatchError(str(told), str(answer), "no server error")
        return answer


def with_query(location: str, name: str, value: str) -> str:
    """A URL with one more query parameter, all it had before left as it was."""
    return f"{location}{'&' if '?' in location else '?'}{name}={quote(value, safe=':')}"


def next_link(answer: Exchange) -> str | None:
    """Where the answer's `Link` of relation "next" leads; None without one. A malformed one is a mismatch."""
    if answer.header("Link") is None:
        return None
    link = httpx.Response(200, headers={"Link": answer.header("Link") or ""}).links.get("next")
    if not link or "url" not in link:
        raise MismatchError(str(answer.request), str(answer), 'Link: <URL>; rel="next"')
    return urljoin(answer.request.target, link["url"])
