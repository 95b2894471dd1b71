"""`artifact-store restore`: bring back what lies where it cannot be read at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.server.cli.console import EXIT_FAULT, EXIT_OK, add_quiet, counted, print_json
from registry.server.cli.remote import REFERENCE_HELP, add_remote, read_reference, with_registry
from registry.server.cli.stored import show_count

if TYPE_CHECKING:
    from oci.client.registry import RegistryClient

HELP = """\
ask for content that lies in a cold or archive location, and wait for it

With a reference it asks for everything that a pull of it reads: configuration, layers, and those of the
manifests of an index. With a digest alone, for that content. Asking again does no harm, and says how far it
is. What is at hand already is told as available. Restored content stays at hand for as long as its location
is set to keep it; pull it before.
Exit code 0: all of it can be read; 1: some of it is on its way; 2: could not run.

examples:
  artifact-store restore reports/nightly:2019-11-22
  artifact-store restore registry.example.com/team/model:v3 --wait && artifact-store pull ...
  artifact-store restore sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "what", metavar="REF|DIGEST", help=f"{REFERENCE_HELP}; or a digest of content at --registry"
    )
    parser.add_argument(
        "--registry", metavar="HOST", default=None, help="for a digest: host[:port], else 127.0.0.1:5000"
    )
    parser.add_argument("--wait", action="store_true", help="ask until all of it can be read")
    add_remote(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the registry."""
    from oci.client.reference import DEFAULT_TAG, parse_place
    from oci.client.restoring import AVAILABLE, ask, contents_of, wait

    digest = _digest(args.what)
    target = None if digest is not None else read_reference(args.what)
    host = parse_place(args.registry).host if target is None else target.host
    show = show_count(quiet=args.quiet or args.json)

    def progress(statuses: dict[Digest, str]) -> None:
        there = sum(status == AVAILABLE for status in statuses.values())
        show(f"{there} of {counted(len(statuses), 'content')} can be read")

    async def work(registry: RegistryClient) -> dict[Digest, str]:
        contents: tuple[Digest, ...] = () if digest is None else (digest,)
        if target is not None:
            contents = await contents_of(registry, target.repository, target.reference or DEFAULT_TAG)
        return await (wait(registry, contents, progress) if args.wait else ask(registry, contents))

    statuses = with_registry(args, host, work, resumes=True)
    if args.json:
        items = [{"digest": str(one), "restore_status": status} for one, status in statuses.items()]
        print_json({"what": args.what, "items": items})
    else:
        for one, status in statuses.items():
            print(f"{one}  {status}")
    return EXIT_OK if all(status == AVAILABLE for status in statuses.values()) else EXIT_FAULT


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except StoreError:
        return None
