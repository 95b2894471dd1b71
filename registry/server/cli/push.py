"""`artifact-store push`: files into a registry."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from registry.contract.digest import Digest
from registry.contract.errors import StoreError
from registry.contract.jsonvalue import JsonValue, parse
from registry.contract.manifest import check_media_type
from registry.contract.names import Tag
from registry.server.cli.console import EXIT_OK, CommandError, counted, in_bytes, print_json
from registry.server.cli.remote import (
    REFERENCE_HELP,
    add_remote,
    add_transfer,
    printable,
    read_reference,
    with_registry,
)

if TYPE_CHECKING:
    from oci.client.files import LocalFile
    from oci.client.journal import Journal
    from oci.client.reference import RemoteReference
    from oci.client.registry import RegistryClient
    from registry.server.cli.progress_line import ProgressLine

#: What a file is when nobody says.
_OCTETS = "application/octet-stream"
_LARGEST_METADATA = 16 * 1024 * 1024


class Push(Protocol):
    """A way to push: returns `{"reference", "manifest_digest", "package_digest", "files"}`."""

    async def __call__(
        self,
        registry: RegistryClient,
        files: Sequence[LocalFile],
        journal: Journal,
        progress: ProgressLine,
    ) -> dict[str, Any]: ...


HELP = """\
push files and folders as an artifact

A file gets its own name in the artifact, the files of a folder their path inside it. By default the result is
an OCI artifact that oras and its like can pull. With --variant or --metadata (or --native) it is a package:
the registry then has to be an artifact-store, and checks the metadata by the variant's schema.

Content that the registry has already is not sent again. After an interruption the same command goes on where
it stopped.

examples:
  artifact-store push reports/nightly:2026-11-22 report.html logs/
  artifact-store push registry.example.com/team/model:v3 model.bin --label stage=candidate
  artifact-store push runs:42 out/ --variant guide-board.run.v1 --metadata run.json
  artifact-store push reports/nightly sbom.json --subject sha256:... --artifact-type application/spdx+json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("reference", metavar="REF", help=f"{REFERENCE_HELP}; without a tag it is `latest`")
    parser.add_argument("paths", metavar="FILE_OR_DIR", nargs="*", type=Path, help="what to push")
    group = parser.add_argument_group("artifact")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--oci", action="store_true", help="push an OCI artifact (the default)")
    form.add_argument("--native", action="store_true", help="push a package through the native API")
    group.add_argument("--variant", help="the package's variant, such as guide-board.run.v1")
    group.add_argument("--metadata", type=Path, metavar="FILE.json", help="its metadata, a JSON object")
    group.add_argument("--label", action="append", default=[], metavar="K=V", help="a label; may be repeated")
    group.add_argument(
        "--subject",
        metavar="DIGEST",
        help="the manifest in the same repository that this refers to; without a tag REF then gets none",
    )
    group.add_argument(
        "--media-type",
        default=_OCTETS,
        metavar="TYPE",
        help=f"media type of the files (default: {_OCTETS})",
    )
    group.add_argument("--artifact-type", metavar="TYPE", help="type of the artifact (OCI form only)")
    add_transfer(parser)
    add_remote(parser)


def run(args: argparse.Namespace) -> int:
    """Push, then say what was stored."""
    from oci.client.errors import ContentError
    from oci.client.files import collect
    from oci.client.journal import Journal
    from registry.server.cli.progress_line import ProgressLine
    from registry.server.cli.user_folders import upload_journal

    target = read_reference(args.reference)
    push = _way(args, target)
    try:
        files = collect(args.paths)
        total = sum(file.path.stat().st_size for file in files)
    except ContentError as error:
        raise CommandError(printable(str(error))) from None

    async def work(registry: RegistryClient) -> dict[str, Any]:
        journal = Journal(upload_journal())
        journal.sweep()
        with ProgressLine("push", total, None if args.quiet else sys.stderr) as progress:
            return await push(registry, files, journal, progress)

    answer = with_registry(args, target.host, work, resumes=True)
    if args.json:
        print_json(answer)
    else:
        _print(answer)
    return EXIT_OK


def _way(args: argparse.Namespace, target: RemoteReference) -> Push:
    """How to push, all options checked. Raises CommandError."""
    if isinstance(target.reference, Digest):
        raise CommandError("push to a tag: the digest of what is pushed is only known afterwards")
    native = args.native or args.variant is not None or args.metadata is not None
    if not args.paths and not native and args.subject is None:
        raise CommandError("name the files or folders to push")
    labels = _labels(args.label)
    try:
        check_media_type(args.media_type)
    except StoreError as error:
        raise CommandError(f"--media-type {args.media_type!r}: {error.message}") from None
    try:
        subject = None if args.subject is None else Digest.parse(args.subject)
    except StoreError as error:
        raise CommandError(f"--subject {args.subject!r}: {error.message}") from None
    if not native:
        return _oci_way(args, target, labels, subject)
    if args.oci or args.artifact_type:
        raise CommandError(
            "--native, --variant and --metadata make a package; leave out --oci and --artifact-type"
        )
    from registry.server.cli.push_package import PackagePush

    body = {"metadata": _metadata(args.metadata), "labels": dict(labels)}
    optional = {"variant": args.variant, "subject": None if subject is None else str(subject)}
    body |= {key: value for key, value in optional.items() if value is not None}
    version = target.reference or Tag("latest")
    return PackagePush(target.host, target.repository, version, body, args.media_type, args.jobs)


def _oci_way(
    args: argparse.Namespace, target: RemoteReference, labels: Mapping[str, str], subject: Digest | None
) -> Push:
    from oci.client.push import DEFAULT_ARTIFACT_TYPE, NewArtifact, push_artifact

    tag = target.reference or (None if subject is not None else Tag("latest"))
    kind = args.artifact_type or DEFAULT_ARTIFACT_TYPE

    async def push(
        registry: RegistryClient, files: Sequence[LocalFile], journal: Journal, progress: ProgressLine
    ) -> dict[str, Any]:
        artifact = NewArtifact(files, args.media_type, kind, labels, subject)
        assert not isinstance(tag, Digest)  # noqa: S101 - refused above
        pushed = await push_artifact(
            registry, target.repository, tag, artifact, journal=journal, progress=progress, jobs=args.jobs
        )
        return {
            "reference": f"{target.host}/{target.repository}" + (f":{tag}" if tag else f"@{pushed.digest}"),
            "manifest_digest": str(pushed.digest),
            "package_digest": None,
            "files": [
                {
                    "relative_path": file.relative_path,
                    "digest": str(file.digest),
                    "size": file.size,
                    "sent": file.sent,
                }
                for file in pushed.files
            ],
        }

    return push


def _labels(texts: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise CommandError(f"--label {text!r}: write it as key=value")
        if labels.setdefault(key, value) != value:
            raise CommandError(f"--label {key!r} is given twice, with two values")
    return labels


def _metadata(path: Path | None) -> JsonValue:
    if path is None:
        return {}
    try:
        document = parse(path.read_bytes(), max_bytes=_LARGEST_METADATA)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except StoreError as error:
        faults = "; ".join(f"{fault.path}: {fault.message}".removeprefix(": ") for fault in error.errors)
        raise CommandError(f"{path}: {faults or error.message}") from None
    if not isinstance(document, dict):
        raise CommandError(f"{path}: the metadata has to be a JSON object")
    return document


def _print(answer: dict[str, Any]) -> None:
    files = answer["files"]
    sent = sum(file["size"] for file in files if file["sent"])
    kept = sum(not file["sent"] for file in files)
    print(f"pushed {answer['reference']}")
    print(
        f"  {counted(len(files), 'file')}, {in_bytes(sent)} sent"
        + (f", {kept} there already" if kept else "")
    )
    print(f"  manifest {answer['manifest_digest']}")
    if answer["package_digest"]:
        print(f"  package  {answer['package_digest']}")
