"""What a store must not leave behind in its process: descriptors and threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def open_below(root: Path) -> list[str]:
    """Paths below `root` that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:  # the one that lists
            continue
        if target.startswith(f"{root}/"):
            found.append(target)
    return found


def threads() -> list[str]:
    """Worker threads of data planes."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dataplane")]
