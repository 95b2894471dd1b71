"""`artifact-store events`: the ledger of a registry, and what is added to it."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from registry.server.cli.console import EXIT_OK, CommandError, print_json
from registry.server.cli.remote import add_remote, printable, with_registry

if TYPE_CHECKING:
    from oci.client.registry import RegistryClient

#: Events in one page.
_PAGE = 1000

HELP = """\
print the events of an artifact-store, and with --follow wait for more

With --json each event is one JSON document on a line of its own.

examples:
  artifact-store events                             what has happened at 127.0.0.1:5000
  artifact-store events registry.example.com --after 4711 --follow --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("place", metavar="HOST", nargs="?", help="127.0.0.1:5000 when none is given")
    parser.add_argument(
        "--after", type=int, default=0, metavar="SEQ", help="begin after this event (default: 0)"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="wait for further events, until interrupted"
    )
    add_remote(parser)


def run(args: argparse.Namespace) -> int:
    """Print events."""
    from oci.client.errors import InvalidReferenceError
    from oci.client.reference import parse_place

    if args.after < 0:
        raise CommandError("--after: events are numbered from 1")
    try:
        place = parse_place(args.place)
    except InvalidReferenceError as error:
        raise CommandError(printable(str(error))) from None
    if place.repository is not None:
        raise CommandError("give the host alone: events are those of a whole registry")

    async def work(registry: RegistryClient) -> None:
        after = args.after
        async for event in _past(registry, after):
            _print(event, as_json=args.json)
            after = event["seq"]
        while args.follow:
            async for event in _coming(registry, after):
                _print(event, as_json=args.json)
                after = event["seq"]

    with_registry(args, place.host, work)
    return EXIT_OK


async def _past(registry: RegistryClient, after: int) -> AsyncIterator[dict[str, Any]]:
    from oci.client.jsontext import read_object

    following: str | None = str(after)
    while following is not None:
        location = f"/api/v1/events?after={following}&limit={_PAGE}"
        page = read_object((await registry.transport.request("GET", location)).body, location)
        for event in page.get("items", ()):
            yield event
        following = page.get("next")


async def _coming(registry: RegistryClient, after: int) -> AsyncIterator[dict[str, Any]]:
    """Events as they happen (HTML standard, section 9.2), until the server ends; breaks are waited out."""
    from oci.client.errors import UnreachableError

    backoff, failures = registry.transport.backoff, 0
    while True:
        try:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
            async with registry.transport.exchange("GET", "/api/v1/events", headers=headers) as stream:
                async for line in stream.content:
                    if line.startswith(b"data:"):
                        event: dict[str, Any] = json.loads(line[5:])
                        failures, after = 0, event["seq"]
                        yield event
            return
        except UnreachableError as error:
            failures += 1
            await backoff.wait(failures, error)


def _print(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(event)
        return
    columns = (str(event["seq"]), event["time"], event["kind"], event["scope"] or "-", event["subject"] or "")
    print(printable("  ".join(columns)).rstrip(), flush=True)
