"""What operators and machines ask the server about itself: `/healthz`, `/readyz`, `/metrics`, and `/`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from registry.contract.errors import StoreError
from registry.http.send import send_bytes

#: Checks write to the disk, and anybody may ask: answers are reused for so many seconds.
_READY_FOR = 1.0

#: A check that takes longer has failed; probes give up after a few seconds themselves.
_CHECK_SECONDS = 3.0

_JSON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class Check:
    """How one part is: `detail` is a sentence when it is not well."""

    ok: bool
    milliseconds: float
    detail: str | None = None

    def as_json(self) -> dict[str, object]:
        found: dict[str, object] = {"ok": self.ok, "milliseconds": round(self.milliseconds, 3)}
        return found if self.detail is None else {**found, "detail": self.detail}


class Readiness:
    """Whether requests can be served now: every part answers within `patience` seconds, and the server is not
    draining."""

    def __init__(
        self, checks: Mapping[str, Callable[[], Awaitable[object]]], patience: float = _CHECK_SECONDS
    ) -> None:
        self.draining = False
        self._checks = checks
        self._patience = patience
        self._until = 0.0
        self._found: dict[str, Check] = {}
        self._turn = asyncio.Lock()

    async def examine(self) -> tuple[bool, dict[str, object]]:
        """The verdict and its detail, at most a second old."""
        async with self._turn:
            if time.monotonic() >= self._until:
                names = list(self._checks)
                examined = (_examine(self._checks[name], self._patience) for name in names)
                results = await asyncio.gather(*examined)
                self._found = dict(zip(names, results, strict=True))
                self._until = time.monotonic() + _READY_FOR
        ready = not self.draining and all(check.ok for check in self._found.values())
        status = "draining" if self.draining else "ready" if ready else "not ready"
        return ready, {
            "status": status,
            "checks": {name: check.as_json() for name, check in self._found.items()},
        }


async def _examine(check: Callable[[], Awaitable[object]], patience: float) -> Check:
    begun = time.perf_counter()
    detail: str | None = None
    checking = asyncio.ensure_future(check())
    try:
        # A check that cannot be interrupted is not waited for either: it ends when it can, and tells nobody.
        done, _ = await asyncio.wait((checking,), timeout=patience)
        if done:
            checking.result()
        else:
            checking.cancel()
            checking.add_done_callback(_heed)
            detail = f"no answer within {patience:g} seconds"
    except StoreError as error:
        detail = error.message
    except Exception as error:
        # Probes are read by people without access to the log; the class alone gives no secret away.
        detail = f"{type(error).__name__}; the server's log has more"
    return Check(detail is None, (time.perf_counter() - begun) * 1000, detail)


def _heed(late: asyncio.Future[object]) -> None:
    """Else the loop complains of an exception that nobody asked for."""
    if not late.cancelled():
        late.exception()


class Operations:
    """The face of the server itself. `scrape` renders the metrics and names their content type."""

    def __init__(
        self, readiness: Readiness, scrape: Callable[[], Awaitable[tuple[bytes, str]]], version: str
    ) -> None:
        self._readiness = readiness
        self._scrape = scrape
        self._version = version

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one of `routes.OPERATIONS`."""
        if request.method not in ("GET", "HEAD"):
            return send_bytes(request, 405, b"", (("Allow", "GET, HEAD"),))
        if path == "/healthz":
            return send_bytes(request, 200, b'{"status":"alive"}\n', _JSON)
        if path == "/readyz":
            ready, detail = await self._readiness.examine()
            return send_bytes(request, 200 if ready else 503, _encode(detail), _JSON)
        if path == "/metrics":
            body, content_type = await self._scrape()
            return send_bytes(request, 200, body, (("Content-Type", content_type),))
        return send_bytes(request, 200, _encode(self._welcome()), _JSON)

    def _welcome(self) -> dict[str, object]:
        return {
            "service": "artifact-store",
            "version": self._version,
            "oci": "/v2/",
            "native": "/api/v1/",
            "openapi": "/api/v1/openapi.json",
            "health": ["/healthz", "/readyz", "/metrics"],
        }


def not_found(request: web.BaseRequest) -> web.StreamResponse:
    """The answer for a path of neither face."""
    detail = {"error": "nothing is here; the OCI API is under /v2/, the native API under /api/v1/"}
    return send_bytes(request, 404, _encode(detail), _JSON)


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode() + b"\n"
