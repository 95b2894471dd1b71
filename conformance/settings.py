"""What the environment says about a run: the one place of this folder that reads it."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"


@dataclass(frozen=True)
class Settings:
    """How this run is to go."""

    url: str | None
    """`ARTIFACT_STORE_URL`: the registry to try; without it the run starts the product."""
    require_all: bool
    """`REQUIRE=all`: a client that is missing is a failure. Set in CI, where a skip would hide one."""
    write_table: bool
    """`WRITE_TABLE=1`: write the results in README.md anew; without it they must be what the run finds."""
    replicas: int
    """`REPLICAS=3`: start so many of the product behind a proxy instead of one."""
    big_mib: int
    """`BIG_MIB`: size of the big file. 64 is enough to need many chunks and cheap enough for every run."""


def from_environment() -> Settings:
    """Read the settings from the environment of this process."""
    return Settings(
        url=os.environ.get("ARTIFACT_STORE_URL") or None,
        require_all=os.environ.get("REQUIRE") == "all",
        write_table=os.environ.get("WRITE_TABLE") == "1",
        replicas=int(os.environ.get("REPLICAS", "0")),
        big_mib=int(os.environ.get("BIG_MIB", "64")),
    )
