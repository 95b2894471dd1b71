"""`artifact-store pull`: an artifact's files into a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.server.cli.console import (
    EXIT_FAULT,
    EXIT_OK,
    CommandError,
    counted,
    in_bytes,
    print_error,
    print_json,
)
from registry.server.cli.remote import (
    REFERENCE_HELP,
    add_remote,
    add_transfer,
    printable,
    read_reference,
    with_registry,
)

if TYPE_CHECKING:
    from oci.client.pull import Pulled
    from oci.client.registry import RegistryClient

HELP = """\
pull an artifact's files into a folder

Every file is checked against its digests before it gets its name. Of the files that are there already, those
with the same content are left alone and others of the same name are replaced; nothing is removed. An artifact
with a path that leads out of the folder is refused whole. After an interruption the same command goes on
where it stopped.

examples:
  artifact-store pull reports/nightly:2026-11-22 -o reports
  artifact-store pull registry.example.com/team/model@sha256:... --ca company.pem
  artifact-store pull runs:42 --json | jq -r .fetched[]
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("reference", metavar="REF", help=f"{REFERENCE_HELP}; without a tag it is `latest`")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder, made when missing (default: .)",
    )
    add_transfer(parser)
    add_remote(parser)


def run(args: argparse.Namespace) -> int:
    """Pull, then say what was done; EXIT_FAULT when a file failed."""
    target = read_reference(args.reference)
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {args.output}: {error.strerror}") from None

    async def work(registry: RegistryClient) -> tuple[dict[str, Any], Pulled]:
        from oci.client.pull import plan_pull, pull_files
        from oci.client.reference import DEFAULT_TAG
        from registry.server.cli.progress_line import ProgressLine

        fetched = await registry.manifest(target.repository, target.reference or DEFAULT_TAG)
        files = await plan_pull(registry, target.repository, fetched)
        total = sum(file.wanted.size for file in files)
        with ProgressLine("pull", total, None if args.quiet else sys.stderr) as progress:
            pulled = await pull_files(
                registry, target.repository, files, args.output, progress=progress, jobs=args.jobs
            )
        answer = {
            "reference": str(target),
            "manifest_digest": str(fetched.digest),
            "folder": str(args.output),
            "size": total,
            "fetched": sorted(pulled.fetched),
            "present": sorted(pulled.present),
            "failed": pulled.failed,
        }
        return answer, pulled

    answer, pulled = with_registry(args, target.host, work, resumes=True)
    for path, reason in sorted(pulled.failed.items()):
        print_error("pull", printable(f"{path}: {reason}"), as_json=False)
    if args.json:
        print_json(answer)
    elif not pulled.failed:
        print(f"pulled {target} into {args.output}")
        present = f", {len(pulled.present)} there already" if pulled.present else ""
        print(f"  {counted(len(pulled.fetched), 'file')} fetched{present}, {in_bytes(answer['size'])} in all")
        print(f"  manifest {answer['manifest_digest']}")
    return EXIT_FAULT if pulled.failed else EXIT_OK
