"""`artifact-store recover`: a lost database rebuilt from storage alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from registry.server.cli.console import (
    EXIT_FAULT,
    EXIT_OK,
    CommandError,
    add_quiet,
    counted,
    in_bytes,
    print_json,
)
from registry.server.cli.options import add_settings, load_settings
from registry.server.cli.stored import show_count

if TYPE_CHECKING:
    from registry.contract.tlog.ed25519 import VerifierKey
    from registry.control.recovery import Recovered

HELP = """\
rebuild a lost database from storage alone

A server exports its ledger beside content all the time. From there this command writes it into an empty
database, byte for byte, replays the views, and looks for every content. All events up to the last checkpoint
come back; what was pushed after it is told as bytes that are there and that no event names, which are kept
for care.orphans from now on. Everything the checkpoint covers is verified before anything is written. Stop
all servers first. A recovery that was interrupted goes on with --resume.
Exit code 0: recovered, and all content is there; 1: content is missing, or the export is damaged and nothing
was written; 2: could not run.

examples:
  artifact-store recover --data ./data --dry-run
  artifact-store recover --storage 's3://artifacts/prod?endpoint=https://s3.example.com' \\
      --database postgresql://registry@db/registry
"""

#: Says that no signature is asked for.
_ANY = "any"
#: Lines of each kind that are printed; `--json` has more.
_SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(
        parser, ("data", "database", "storage", "keys", "care.orphans", "recovery.key", "limits.buffer_bytes")
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would come back; change nothing")
    parser.add_argument("--resume", action="store_true", help="go on with a recovery that was interrupted")
    parser.add_argument(
        "--verifier",
        metavar="KEY",
        help="the public key that must have signed the checkpoint, name+id+key, or a file with it; "
        "without, the key of the settings where it is still there; any: whoever signed it",
    )
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    import asyncio

    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from registry.control.recovery import recover
    from registry.control.recovery.recovering import Source
    from registry.dataplane.format import NAME as FORMAT
    from registry.server.cli.alone import alone
    from registry.server.composition import limits_of
    from registry.server.exporting import archive_of, present_key
    from registry.server.folder import create_folder, database_of, has_folder, set_log_aside
    from registry.server.storage import open_dataplane

    settings = load_settings(args).settings
    show = show_count(quiet=args.quiet or args.json)
    if settings.storage.url is None and not (settings.server.data / FORMAT).is_file():
        raise CommandError(
            f"{settings.server.data} holds no content to recover from; name the data folder with --data, or "
            "the bucket with --storage"
        )
    if has_folder(settings):
        create_folder(settings.server.data)
    async with alone(settings, "recover"):
        if not args.dry_run:
            set_log_aside(settings)
        key = None if args.verifier else present_key(settings)
        archive = archive_of(settings)
        dataplane = await open_dataplane(settings)
        try:
            done = await recover(
                Source(dataplane, archive, _verifier(args.verifier), key),
                database_of(settings),
                limits=limits_of(settings),
                resume=args.resume,
                dry_run=args.dry_run,
                progress=lambda now: show(now.step),
            )
        finally:
            await archive.close()
            await dataplane.close()
    if args.json:
        print_json(_document(done, dry_run=args.dry_run))
    else:
        _print(done, dry_run=args.dry_run)
    return EXIT_FAULT if done.faults or done.missing_count else EXIT_OK


def _verifier(given: str | None) -> VerifierKey | None:
    """The public key that was named. Raises CommandError."""
    from registry.contract.tlog.ed25519 import verifier
    from registry.contract.tlog.note import NoteError

    if given is None or given == _ANY:
        return None
    try:
        text = Path(given).read_text("utf-8") if "+" not in given or Path(given).is_file() else given
        return verifier(text)
    except (NoteError, UnicodeDecodeError) as error:
        raise CommandError(f"--verifier {error}") from None
    except OSError as error:
        raise CommandError(f"--verifier: {given} cannot be read: {error.strerror}") from None


def _print(done: Recovered, *, dry_run: bool) -> None:
    if done.faults:
        for fault in done.faults:
            print(f"export: {fault}")
        print(f"{counted(len(done.faults), 'fault')} in the exported ledger: nothing was written")
        return
    for domain, address in done.missing[:_SHOWN]:
        print(f"missing: {address} of the domain {domain}")
    for orphan in done.orphans[:_SHOWN]:
        what = f": the manifest {orphan.manifest}" if orphan.manifest else ""
        print(f"no event names {orphan.address}, {in_bytes(orphan.size)}{what}")
    if done.missing_count > _SHOWN or done.orphan_count > _SHOWN:
        print("and more, which --json lists")
    signed = f"signed by {done.signed_by}" if done.signed_by else "whose signature was not asked for"
    print(f"the checkpoint of {done.origin}, {signed}, has {counted(done.events, 'event')}")
    print(
        f"{'would be recovered' if dry_run else 'recovered'}: {counted(done.events, 'event')}, "
        f"{counted(done.manifests, 'manifest')}, {counted(done.present, 'content')} of "
        f"{in_bytes(done.present_bytes)}; {done.missing_count} missing; "
        f"{done.orphan_count} that no event names, {in_bytes(done.orphan_bytes)}"
    )


def _document(done: Recovered, *, dry_run: bool) -> dict[str, object]:
    return {
        "ok": not done.faults and not done.missing_count,
        "dry_run": dry_run,
        "origin": done.origin,
        "events": done.events,
        "signed_by": done.signed_by,
        "manifests": done.manifests,
        "contents": done.contents,
        "present": done.present,
        "present_bytes": done.present_bytes,
        "missing": done.missing_count,
        "missing_contents": [{"domain": domain, "address": str(address)} for domain, address in done.missing],
        "orphans": done.orphan_count,
        "orphan_bytes": done.orphan_bytes,
        "orphan_contents": [
            {
                "domain": orphan.domain,
                "address": str(orphan.address),
                "size": orphan.size,
                "manifest": orphan.manifest,
            }
            for orphan in done.orphans
        ],
        "followers": done.followers,
        "set_aside": done.aside,
        "faults": done.faults,
    }
