"""Names that people choose, parsed to types at the edge: repositories, tags and references.

Grammars: distribution-spec, "Pulling manifests" (`<name>` and `<reference>`).
"""

from __future__ import annotations

import re
from typing import NewType

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError

#: A checked repository name, slashes included. At most 255 characters.
Repository = NewType("Repository", str)

#: A checked tag. At most 128 characters.
Tag = NewType("Tag", str)

#: What names a manifest inside a repository.
Reference = Digest | Tag

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_SIGNATURE_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})(?:\.(sig|att|sbom))?")
_LONGEST_REPOSITORY = 255


def parse_repository(text: str) -> Repository:
    """Check a repository name; raises StoreError NAME_INVALID."""
    if len(text) > _LONGEST_REPOSITORY or not _REPOSITORY.fullmatch(text):
        raise StoreError(
            ErrorKind.NAME_INVALID,
            "a repository name is lower-case letters and digits, parted by '.', '_', '__', '-' or '/', "
            f"{_LONGEST_REPOSITORY} characters at most",
        )
    return Repository(text)


def parse_tag(text: str) -> Tag:
    """Check a tag; raises StoreError REFERENCE_INVALID."""
    if not _TAG.fullmatch(text):
        raise StoreError(
            ErrorKind.REFERENCE_INVALID,
            "a tag is 1 to 128 letters, digits, '_', '.' or '-' and starts with none of the last two",
        )
    return Tag(text)


def parse_reference(text: str) -> Reference:
    """A digest when `text` has a colon, else a tag. Raises StoreError DIGEST_INVALID or REFERENCE_INVALID."""
    return Digest.parse(text) if ":" in text else parse_tag(text)


def subject_of_tag(tag: Tag) -> Digest | None:
    """The digest that a fallback or signature tag speaks of, else None (decision 14).

    `sha256-<hex>` is the referrers fallback of distribution-spec 1.1 ("Referrers Tag Schema"); the
    suffixes `.sig`, `.att` and `.sbom` are cosign's. Such tags are weak edges to their subject.
    """
    match = _SIGNATURE_TAG.fullmatch(tag)
    if match is None:
        return None
    try:
        return Digest.parse(f"{match[1]}:{match[2]}")
    except StoreError:
        return None


def fallback_tag(subject: Digest) -> Tag:
    """The referrers fallback tag of `subject` (distribution-spec, "Referrers Tag Schema")."""
    return Tag(f"{subject.algorithm.value}-{subject.hex}"[:128])
