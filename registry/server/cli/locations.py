"""`artifact-store locations`: the places that content may lie in, told and prepared."""

from __future__ import annotations

import argparse
import dataclasses

from registry.server.cli.console import EXIT_FAULT, EXIT_OK, CommandError, print_json
from registry.server.cli.options import add_settings, load_settings
from registry.server.settings import Settings

HELP = """\
the places that content may lie in: whether they can be used, and their making

Places beside the one where bytes arrive stand in the settings file, as [[location]]. `prepare NAME` makes
one, once: it writes a file LOCATION there, and the server uses the place only where that file is. So an empty
folder in which a disk should be mounted is never taken for a place that holds nothing. Without `prepare`
every place is opened and a probe written.
Exit code 0: all can be used; 1: one cannot; 2: could not run.

examples:
  artifact-store locations --data ./data
  artifact-store locations prepare tape --data ./data
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, ("data", "storage", "keys"))
    parser.add_argument("action", nargs="?", choices=("prepare",), help="make a place; without, look at all")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the place to prepare")


def run(args: argparse.Namespace) -> int:
    settings = load_settings(args).settings
    return _look(settings, args) if args.action is None else _prepare(settings, args)


def _prepare(settings: Settings, args: argparse.Namespace) -> int:
    import asyncio

    from registry.server.locations import prepare_location

    rules = {rule.name: rule for rule in settings.locations}
    if args.name not in rules:
        known = ", ".join(rules) or "none"
        raise CommandError(f"name a [[location]] of the settings file; there are: {known}")
    asyncio.run(prepare_location(rules[args.name]))
    if args.json:
        print_json({"prepared": args.name})
    else:
        print(f"the location {args.name} is ready")
    return EXIT_OK


def _look(settings: Settings, args: argparse.Namespace) -> int:
    import asyncio

    from registry.server.locations import look_at

    found = asyncio.run(look_at(settings))
    if args.json:
        print_json({"locations": [dataclasses.asdict(one) for one in found]})
    else:
        for one in found:
            law = f", under {one.jurisdiction}" if one.jurisdiction else ""
            print(f"{one.name}  {one.tier}{law}  {one.url}  {one.trouble or 'can be used'}")
        if not found:
            print("content lies where it arrives, and nowhere else")
    return EXIT_FAULT if any(one.trouble for one in found) else EXIT_OK
