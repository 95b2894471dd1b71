"""Determining support (end-1)."""

from ..bench import Bench
from ..expect import refused, status
from ..plan import Level
from ..rule import each, rule


@rule("base", "end-1", Level.MUST, "GET /v2/ is 200 where the specification is implemented")
def version_check(bench: Bench) -> None:
    status(bench.wire.send("GET", "/v2/"), 200)


@rule(
    "base",
    "end-1",
    Level.TRAP,
    "a path that is no endpoint is the client's mistake",
    each(
        "/v2/_unknown",
        "/v2/some/name",
        "/v2/some/name/tags",
        "/v2/some/name/blobs",
        "/v2/some/name/manifests",
    ),
)
def no_endpoint(bench: Bench, path: str) -> None:
    refused(bench.wire.send("GET", path), "there is no such endpoint")


@rule(
    "base",
    "end-3",
    Level.TRAP,
    "a method that an endpoint does not have is the client's mistake",
    each(
        "PATCH manifests/latest",
        "POST tags/list",
        "PUT referrers/sha256:" + "0" * 64,
        "POST manifests/latest",
    ),
)
def no_method(bench: Bench, call: str) -> None:
    method, rest = call.split(" ")
    refused(bench.wire.send(method, bench.repository().path(rest)), "the endpoint has no such method")
