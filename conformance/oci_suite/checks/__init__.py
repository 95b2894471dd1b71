"""All rules, in the order in which they run."""

import importlib
from collections.abc import Iterator

from ..rule import Rule

MODULES = (
    "base",
    "pull_blobs",
    "pull_ranges",
    "pull_manifests",
    "push_blobs",
    "push_bad_digests",
    "push_chunked",
    "push_session",
    "push_algorithm",
    "push_mount",
    "push_interrupted",
    "manifest_kinds",
    "manifest_bytes",
    "manifest_content",
    "manifest_refusals",
    "manifest_size",
    "manifest_subject",
    "tags_push",
    "tags_parameter",
    "tags_list",
    "tags_pages",
    "referrers_list",
    "referrers_filter",
    "referrers_pages",
    "referrers_life",
    "delete_tags",
    "delete_manifests",
    "delete_blobs",
    "visibility",
    "names",
    "references",
    "errors",
    "catalog",
    "concurrency",
)


def _rules() -> Iterator[Rule]:
    for name in MODULES:
        module = importlib.import_module(f".{name}", __name__)
        yield from (value for value in vars(module).values() if isinstance(value, Rule))


RULES = tuple(_rules())
