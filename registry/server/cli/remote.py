"""What the commands that speak to a registry have in common: their options, and how they begin and end."""

from __future__ import annotations

import argparse
import asyncio
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from registry.server.cli.console import EXIT_CANNOT_RUN, EXIT_FAULT, CommandError, add_quiet

if TYPE_CHECKING:  # aiohttp takes half of a command's start; --help does without it
    from oci.client.reference import RemoteReference
    from oci.client.registry import RegistryClient

T = TypeVar("T")

REFERENCE_HELP = "[host[:port]/]repository[:tag|@digest]; the host is 127.0.0.1:5000 when none is given"


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add how to reach a registry."""
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--plain-http",
        action="store_true",
        help="speak http; for this machine's addresses that is the default",
    )
    group.add_argument("--insecure", action="store_true", help="speak https and trust any certificate")
    group.add_argument(
        "--ca", type=Path, metavar="FILE", help="speak https and trust the authorities in this PEM file"
    )


def add_transfer(parser: argparse.ArgumentParser) -> None:
    """Add how to move bytes."""
    group = parser.add_argument_group("transfer")
    group.add_argument(
        "--jobs", type=_jobs, default=4, metavar="N", help="files at a time, 1 to 64 (default: 4)"
    )
    add_quiet(group)


def read_reference(text: str) -> RemoteReference:
    """A reference from the command line. Raises CommandError."""
    from oci.client.errors import InvalidReferenceError
    from oci.client.reference import parse_reference

    try:
        return parse_reference(text)
    except InvalidReferenceError as error:
        raise CommandError(str(error), EXIT_CANNOT_RUN) from None


def with_registry(
    args: argparse.Namespace,
    host: str,
    work: Callable[[RegistryClient], Awaitable[T]],
    *,
    resumes: bool = False,
) -> T:
    """Run `work` with a client of the registry at `host`.

    Raises CommandError for what the client raises. `resumes`: an interruption says how to go on.
    """
    from oci.client.credentials import find_credentials
    from oci.client.registry import RegistryClient
    from oci.client.transport import Transport, TransportSettings
    from registry.server.cli.user_folders import docker_config, proxy_for

    if args.plain_http and (args.insecure or args.ca):
        raise CommandError("--plain-http has no certificates to trust: leave out --insecure and --ca")
    settings = TransportSettings(
        plain_http=True if args.plain_http else None,
        verify=not args.insecure,
        ca=args.ca,
        proxy=proxy_for,
        credentials=lambda name: find_credentials(docker_config(), name),
    )

    async def session() -> T:
        async with Transport(host, settings) as transport:
            return await work(RegistryClient(transport))

    return _run(session(), resumes)


def _run(session: Coroutine[object, object, T], resumes: bool) -> T:
    from oci.client.errors import ClientError, CredentialsError, UnreachableError

    try:
        return asyncio.run(session)
    except ClientError as error:
        hint = "; the same command goes on from there" if resumes and error.transient else ""
        # No answer, or no way to ask, is not the answer "no".
        code = EXIT_CANNOT_RUN if isinstance(error, (UnreachableError, CredentialsError)) else EXIT_FAULT
        raise CommandError(printable(str(error)) + hint, code) from None
    except KeyboardInterrupt:
        if resumes:
            sys.stderr.write("\ninterrupted; the same command goes on where this one stopped\n")
        raise


def printable(text: str) -> str:
    """`text` from a stranger, with nothing in it that a terminal would obey."""
    return "".join(
        letter if not unicodedata.category(letter).startswith("C") else ascii(letter)[1:-1] for letter in text
    )


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("give a number from 1 to 64")
    return int(text)
