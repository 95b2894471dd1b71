"""`artifact-store followers`: where a registry's events go, and what is done when they are not taken."""

from __future__ import annotations

import argparse
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from registry.server.cli.console import EXIT_OK, CommandError, print_json
from registry.server.cli.remote import add_remote, printable, with_registry

if TYPE_CHECKING:
    from oci.client.registry import RegistryClient

HELP = """\
see and mend how events reach NATS and webhooks

`list` shows how far each is and what is in its way, `letters` the events that a receiver did not take.
`redeliver` tries those again, all of them or the ones named; `skip` gives the event up that is not taken now,
so that the next one goes out; `seek` goes on elsewhere in the ledger, `stop` and `resume` do as they say, and
`forget` drops what is left of a follower that is not set any more.

examples:
  artifact-store followers list                             at 127.0.0.1:5000
  artifact-store followers letters ci.example.com --registry registry.example.com
  artifact-store followers redeliver ci.example.com         all dead letters
  artifact-store followers redeliver ci.example.com 4711 4712
  artifact-store followers skip ci.example.com
  artifact-store followers seek events 0                    the whole ledger again
"""

#: Letters in one page.
_PAGE = 1000

#: What is asked for by a POST of the same name, and what it does.
_ACTIONS = {
    "redeliver": "try dead letters again: those named, or all",
    "skip": "give up the event that is not taken now",
    "seek": "go on with the event after this one, 0 for the first",
    "stop": "deliver nothing until it is resumed",
    "resume": "go on where it stopped, or at once where it waits",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    _add(actions, "list", "every follower and how it fares")
    _add(actions, "letters", "the events that its receiver did not take").add_argument("name", metavar="NAME")
    for action, text in _ACTIONS.items():
        child = _add(actions, action, text)
        child.add_argument("name", metavar="NAME")
        if action == "redeliver":
            child.add_argument("seqs", metavar="SEQ", nargs="*", type=int, help="all when none is given")
        elif action == "seek":
            child.add_argument("after", metavar="SEQ", type=int)
    _add(actions, "forget", "drop what is left of one that is not set any more").add_argument(
        "name", metavar="NAME"
    )


def _add(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    child: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
    # The same as before the action; here it must not set what was given there back.
    child.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON document"
    )
    child.add_argument(
        "--registry", metavar="HOST", default=None, help="host[:port]; 127.0.0.1:5000 when none is given"
    )
    add_remote(child)
    return child


def run(args: argparse.Namespace) -> int:
    """Ask the registry."""
    from oci.client.errors import InvalidReferenceError
    from oci.client.reference import parse_place

    try:
        place = parse_place(args.registry)
    except InvalidReferenceError as error:
        raise CommandError(printable(str(error))) from None
    if place.repository is not None:
        raise CommandError("give the host alone: followers are those of a whole registry")
    work: dict[str, Callable[[RegistryClient, argparse.Namespace], Awaitable[None]]] = {
        "list": _list,
        "letters": _letters,
        "forget": _forget,
    }
    with_registry(args, place.host, lambda registry: work.get(args.action, _act)(registry, args))
    return EXIT_OK


async def _list(registry: RegistryClient, args: argparse.Namespace) -> None:
    found = await _get(registry, "/api/v1/followers")
    if args.json:
        print_json(found)
        return
    if not found["items"]:
        print("no events are delivered elsewhere; see --events and [[webhook]] in the README")
    for one in found["items"]:
        print(printable(_line(one)), flush=True)


async def _letters(registry: RegistryClient, args: argparse.Namespace) -> None:
    letters: list[dict[str, Any]] = []
    following: str | None = "0"
    while following is not None:
        page = await _get(registry, f"{_place(args)}/dead-letters?after={following}&limit={_PAGE}")
        following = page["next"]
        if args.json:
            letters += page["items"]
            continue
        for letter in page["items"]:
            columns = (
                str(letter["seq"]),
                letter["died_at"],
                letter["kind"],
                letter["scope"] or "-",
                "queued" if letter["queued"] else f"{letter['attempts']} attempts",
                letter["reason"],
            )
            print(printable("  ".join(columns)), flush=True)
    if args.json:
        print_json({"items": letters})


async def _forget(registry: RegistryClient, args: argparse.Namespace) -> None:
    await registry.transport.request("DELETE", _place(args), accept=(204,), repeat=False)
    _say(args, {"forgotten": args.name}, f"{args.name} is forgotten")


async def _act(registry: RegistryClient, args: argparse.Namespace) -> None:
    from oci.client.jsontext import read_object

    body: dict[str, Any] = {}
    if args.action == "redeliver" and args.seqs:
        body = {"seqs": args.seqs}
    elif args.action == "seek":
        body = {"after": args.after}
    location = f"{_place(args)}/{args.action}"
    takes_body = args.action in ("redeliver", "seek")
    reply = await registry.transport.request(
        "POST",
        location,
        headers={"Content-Type": "application/json"} if takes_body else {},
        body=json.dumps(body).encode() if takes_body else None,
        accept=(200, 202),
        repeat=False,
    )
    found = read_object(reply.body, location)
    _say(args, found, _line(found))


async def _get(registry: RegistryClient, location: str) -> dict[str, Any]:
    from oci.client.jsontext import read_object

    found: dict[str, Any] = read_object((await registry.transport.request("GET", location)).body, location)
    return found


def _place(args: argparse.Namespace) -> str:
    return f"/api/v1/followers/{quote(args.name, safe='')}"


def _say(args: argparse.Namespace, document: dict[str, Any], line: str) -> None:
    if args.json:
        print_json(document)
    else:
        print(printable(line), flush=True)


def _line(one: dict[str, Any]) -> str:
    """A follower in one line."""
    state = one["state"] if one["configured"] else "not set any more"
    parts = [
        f"{one['name']}  {state}",
        *([f"to {one['target']}"] if one["target"] else []),
        f"at {one['cursor']}, {one['lag_events']} behind",
        f"{one['delivered']} delivered",
    ]
    if one["dead_letters"]:
        parts.append(f"{one['dead_letters']} dead letters, {one['queued']} queued")
    if one["reason"]:
        event = f"event {one['failing']}, " if one["failing"] else ""
        parts.append(f"{event}{one['attempts']} attempts: {one['reason']}")
    return "; ".join(parts)
