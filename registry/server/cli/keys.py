"""`artifact-store keys`: the keys of sealed domains, told, rotated, destroyed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from registry.server.cli.console import EXIT_OK, CommandError, counted, print_json
from registry.server.cli.options import add_settings
from registry.server.cli.stored import existing
from registry.server.settings import Settings

if TYPE_CHECKING:
    from registry.dataplane import KeyRing, KeyState

HELP = """\
list, rotate and destroy the keys of sealed domains, beside a running server

What a sealed domain stores is encrypted with a data key of its own, which is stored wrapped by the key that
keys.provider names. `list` needs neither. `rotate` wraps anew, by keys.provider, what keys.former wrapped: no
stored data changes, and afterwards only older backups need the former key. `renew` begins another data key
for what the domain stores from now on.
`destroy` makes all that the domain holds sealed unreadable for good, and says so in the ledger: it answers
404 (OCI) and 410 (native) from then on, and other domains that hold the same content keep it. Labels,
metadata and file names of its packages are overwritten in the database. Backups have keys of their own: the
next backup into the same folder destroys them there, and other copies are yours to find.
Exit code 0: done; 2: could not run.

examples:
  artifact-store keys list --data ./data
  artifact-store keys rotate --data ./data        with a new keys.provider, and the old one as keys.former
  artifact-store keys destroy legal --yes --data ./data
"""

_NEEDS_DOMAIN = frozenset({"renew", "destroy"})


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "database", "storage", "keys"))
    parser.add_argument("action", choices=("list", "rotate", "renew", "destroy"), help="what to do")
    parser.add_argument("domain", nargs="?", metavar="DOMAIN", help="of which domain; all, where it may be")
    parser.add_argument("--yes", action="store_true", help="destroy, which nothing can undo")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from registry.server.storage import key_ring

    if args.action in _NEEDS_DOMAIN and args.domain is None:
        raise CommandError(f"name the domain: artifact-store keys {args.action} DOMAIN")
    settings = existing(args)
    if settings.storage.url is not None:
        raise CommandError("content lives in a bucket (storage.url), where nothing is sealed")
    if args.action == "list":
        return _list(key_ring(settings, providers=False), args)
    ring = key_ring(settings)
    if args.action == "rotate":
        count = ring.rewrap(args.domain)
        return _told(args, {"rewrapped": count}, f"wrapped anew: {counted(count, 'data key')}")
    if args.action == "renew":
        made = ring.renew(args.domain)
        return _told(args, _as_json(made), f"new data key of the domain {made.domain}: {made.id}")
    if not args.yes:
        raise CommandError(
            f"this makes everything in the domain {args.domain} unreadable for good; say --yes if you mean it"
        )
    return asyncio.run(_destroy(ring, settings, args))


async def _destroy(ring: KeyRing, settings: Settings, args: argparse.Namespace) -> int:
    """The keys first: nothing is called erased that can still be read. A scrub notes what a crash left."""
    import asyncio

    from registry.contract.dataplane import DomainId
    from registry.control.core import SYSTEM
    from registry.control.erasing import note_erased
    from registry.server.offline import open_stored

    domain = DomainId(args.domain)
    async with open_stored(settings) as opened:  # told before anything is destroyed, if it cannot be
        before = domain in ring.destroyed()
        destroyed = await asyncio.to_thread(ring.destroy, domain)
        noted = await note_erased(opened.store.core, SYSTEM, domain, always=not before)
    found = {"domain": args.domain, "destroyed": destroyed, "noted": noted}
    return _told(args, found, f"destroyed: {counted(destroyed, 'data key')} of the domain {domain}")


def _list(ring: KeyRing, args: argparse.Namespace) -> int:
    keys = [_as_json(key) for key in ring.states(args.domain)]
    destroyed = [domain for domain in ring.destroyed() if args.domain in (None, domain)]
    if args.json:
        print_json({"keys": keys, "destroyed": destroyed})
        return EXIT_OK
    for key in keys:
        use = "for new data" if key["current"] else "for older data"
        print(f"{key['domain']}  {key['id']}  {use}, since {key['created']}, wrapped by {key['provider']}")
    for domain in destroyed:
        print(f"{domain}  destroyed")
    if not keys and not destroyed:
        print(f"{counted(0, 'key')}: nothing is sealed yet")
    return EXIT_OK


def _as_json(key: KeyState) -> dict[str, Any]:
    from datetime import UTC, datetime

    created = datetime.fromtimestamp(key.created / 1_000_000, UTC).isoformat(timespec="seconds")
    return {
        "domain": key.domain,
        "id": key.id,
        "created": created,
        "provider": key.provider,
        "current": key.current,
    }


def _told(args: argparse.Namespace, found: dict[str, Any], sentence: str) -> int:
    if args.json:
        print_json(found)
    else:
        print(sentence)
    return EXIT_OK
