"""`artifact-store ls`: repositories of a registry, versions of a repository."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from registry.contract.names import Repository, Tag
from registry.server.cli.console import EXIT_OK, CommandError, print_json
from registry.server.cli.remote import add_remote, printable, with_registry

if TYPE_CHECKING:
    from oci.client.registry import RegistryClient

#: Requests at a time for --long.
_LOOK_UPS = 8

HELP = """\
list the repositories of a registry, or the versions of a repository

examples:
  artifact-store ls                             repositories of 127.0.0.1:5000
  artifact-store ls registry.example.com        repositories of another registry
  artifact-store ls reports/nightly             versions of a repository
  artifact-store ls reports/nightly --long      ... and their digests
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "place", metavar="HOST[/REPOSITORY]", nargs="?", help="the host is 127.0.0.1:5000 when none is given"
    )
    parser.add_argument(
        "-l", "--long", action="store_true", help="with digests, for the versions of a repository"
    )
    add_remote(parser)


def run(args: argparse.Namespace) -> int:
    """List."""
    from oci.client.errors import InvalidReferenceError
    from oci.client.reference import parse_place

    try:
        place = parse_place(args.place)
    except InvalidReferenceError as error:
        raise CommandError(printable(str(error))) from None
    if place.repository is None:
        names = with_registry(args, place.host, _repositories)
        if args.json:
            print_json({"host": place.host, "repositories": names})
        else:
            _print(names)
        return EXIT_OK
    repository = place.repository
    found = with_registry(args, place.host, lambda registry: _versions(registry, repository, args.long))
    if args.json:
        print_json({"host": place.host, "repository": repository, "versions": found})
    else:
        _print("  ".join(version.values()) for version in found)
    return EXIT_OK


async def _repositories(registry: RegistryClient) -> list[str]:
    return [str(name) async for name in registry.repositories()]


async def _versions(registry: RegistryClient, repository: Repository, long: bool) -> list[dict[str, str]]:
    """`{"version"}`, and with `long` also `{"digest"}`, in the registry's order."""
    from oci.client.parallel import each

    versions = [{"version": str(tag)} async for tag in registry.tags(repository)]

    async def look_up(version: dict[str, str]) -> None:
        version["digest"] = str(await registry.digest_of(repository, Tag(version["version"])))

    if long:
        await each(versions, _LOOK_UPS, look_up)
    return versions


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line))
