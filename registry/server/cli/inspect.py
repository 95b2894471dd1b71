"""`artifact-store inspect`: what an artifact is, what is in it, and what refers to it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from registry.server.cli.console import EXIT_OK, in_bytes, print_json
from registry.server.cli.remote import (
    REFERENCE_HELP,
    add_remote,
    printable,
    read_reference,
    with_registry,
)

HELP = """\
show an artifact: manifest, files, labels, and the signatures and other artifacts that refer to it

Of a package, its variant and metadata too, and what its registry knows beyond the manifest.

examples:
  artifact-store inspect reports/nightly:2026-11-22
  artifact-store inspect registry.example.com/team/model:v3 --json | jq .files
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("reference", metavar="REF", help=f"{REFERENCE_HELP}; without a tag it is `latest`")
    add_remote(parser)


def run(args: argparse.Namespace) -> int:
    """Look, and print."""
    from oci.client.inspection import inspect
    from oci.client.reference import DEFAULT_TAG

    target = read_reference(args.reference)
    reference = target.reference or DEFAULT_TAG
    found = with_registry(args, target.host, lambda registry: inspect(registry, target.repository, reference))
    answer = {"reference": str(target), **found}
    if args.json:
        print_json(answer)
    else:
        for line in _lines(answer):
            print(printable(line))
    return EXIT_OK


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    yield answer["reference"]
    for name, key in (
        ("manifest", "manifest_digest"),
        ("media type", "media_type"),
        ("type", "artifact_type"),
        ("subject", "subject"),
    ):
        if answer[key]:
            yield f"  {name:<11}{answer[key]}"
    package = answer["package"]
    if package is not None:
        yield f"  {'package':<11}{package['package_digest']}"
        yield f"  {'variant':<11}{package['variant'] or '(none)'}"
        if package["metadata"]:
            yield "metadata"
            for line in json.dumps(package["metadata"], indent=2, ensure_ascii=False).splitlines():
                yield f"  {line}"
    if answer["labels"]:
        yield "labels"
        for key, value in sorted(answer["labels"].items()):
            yield f"  {key}: {value}"
    for title, entries in (("files", answer["files"]), ("manifests", answer["children"])):
        if entries:
            yield title
        for entry in entries:
            name = entry.get("relative_path") or entry.get("platform") or ""
            yield f"  {entry['digest']}  {in_bytes(entry['size']):>10}  {name or entry['media_type']}"
    if answer["referrers"]:
        yield "referred to by"
        yield from _tree(answer["referrers"], "  ")


def _tree(referrers: list[dict[str, Any]], indent: str) -> Iterator[str]:
    for referrer in referrers:
        tag = f" (tag {referrer['tag']})" if referrer["tag"] else ""
        yield f"{indent}{referrer['artifact_type'] or referrer['media_type']}  {referrer['digest']}{tag}"
        yield from _tree(referrer["referrers"], indent + "  ")
