"""The sink for a URL, by its scheme; those that are not ours come from plugins.

A plugin is an installed package with an entry point in the group `artifact_store.sinks`, named like the
scheme it is for. It is called with the URL and returns a `registry.contract.delivery.Sink`, or raises
StoreError with a sentence about the URL; what else it wants to know stands in the query of the URL or is its
own affair. `registry.sinks.kafka` is one that comes along.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from registry.contract.delivery import Sink
from registry.contract.errors import ErrorKind, StoreError

GROUP = "artifact_store.sinks"
NATS = frozenset({"nats", "nats+tls"})
HTTP = frozenset({"http", "https"})


def scheme_of(url: str) -> str:
    """The scheme in lower case; empty where there is none."""
    return urlsplit(url).scheme.lower()


def find_plugin(url: str) -> Callable[[str], Sink]:
    """What makes sinks for the URL's scheme. Raises StoreError UNAVAILABLE when nothing here does, or when
    a library is missing that it needs."""
    scheme = scheme_of(url)
    found = next(iter(entry_points(group=GROUP, name=scheme)), None)
    if found is None:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"nothing here delivers to {scheme}:// URLs: nats, nats+tls, kafka, kafka+tls, http and https "
            f"are known, others need a plugin with an entry point in {GROUP}",
        )
    try:
        make: Callable[[str], Sink] = found.load()
    except ImportError as error:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"what delivers to {scheme}:// URLs needs the package {error.name}, which is not installed",
        ) from None
    return make


def nats_servers(url: str) -> tuple[str, ...]:
    """`nats+tls://user:word@one:4222,two` as the client wants it: a URL a server, of scheme nats or tls."""
    scheme, _, rest = url.partition("://")
    scheme = "tls" if scheme.lower() == "nats+tls" else "nats"
    places = [place.strip().rstrip("/") for place in rest.split(",") if place.strip()]
    who = places[0].rpartition("@")[0] if places else ""
    with_who = (f"{who}@{place}" if who and "@" not in place else place for place in places)
    return tuple(f"{scheme}://{place}" for place in with_who)


def shown(url: str) -> str:
    """The URL for people: without user, password, token, path or query, any of which can be a secret."""
    scheme, _, rest = url.partition("://")
    places = rest.split("/")[0].split("?")[0].split(",")
    return f"{scheme}://" + ",".join(place.rpartition("@")[2] for place in places)
