"""Who else owns the import name `oci`: another vendor's SDK has it too, and pip lets one overwrite the
other.

`importlib.metadata.packages_distributions()` answers that in a tenth of a second, which is too long for every
start. The same question by reading each distribution's own list, and nothing else of it, takes a hundredth of
that; a test holds the two against each other.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

OURS = "artifact-store"
NAME = "oci"

_RECORDED = re.compile(rb"^oci(/|\.py,)", re.MULTILINE)
_METADATA_NAME = re.compile(r"^Name:\s*(\S+)", re.MULTILINE)


def other_owners(path: Sequence[str] | None = None) -> list[str]:
    """Names of installed distributions, other than ours, that bring a top-level `oci`; `path` as sys.path."""
    found = set()
    for folder in sys.path if path is None else path:
        try:
            entries = list(Path(folder or ".").glob("*.dist-info"))
        except OSError:
            continue
        for entry in entries:
            if _brings_oci(entry):
                name = _name(entry)
                if re.sub(r"[-_.]+", "-", name).lower() != OURS:
                    found.add(name)
    return sorted(found)


def explain(owners: Sequence[str]) -> str:
    """What to tell a person whose environment has two owners of `oci`."""
    return (
        f"this Python environment also holds {', '.join(owners)}, which installs its files under the same "
        f"import name `{NAME}`, so that one overwrites the other. Give artifact-store its own "
        "environment: python3 -m venv artifact-store && artifact-store/bin/pip install artifact-store"
    )


def _brings_oci(entry: Path) -> bool:
    """As importlib.metadata has it: `top_level.txt` where there is one, else the recorded files."""
    try:
        return NAME in (entry / "top_level.txt").read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        pass
    try:
        return _RECORDED.search((entry / "RECORD").read_bytes()) is not None
    except OSError:
        return False


def _name(entry: Path) -> str:
    try:
        match = _METADATA_NAME.search((entry / "METADATA").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        match = None
    return match[1] if match else entry.name.split("-")[0]
