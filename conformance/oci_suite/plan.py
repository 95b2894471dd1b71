"""What a run is asked to do: which registry, which edition of the specification, which algorithms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Profile(StrEnum):
    """An edition of the OCI distribution specification."""

    STABLE = "1.1"  # release 1.1.1
    DEV = "dev"  # the settled parts of the main branch


class Level(StrEnum):
    """How binding a check is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    TRAP = "TRAP"  # not written in the specification, but real clients break on it


@dataclass(frozen=True)
class Plan:
    """One run's settings. `headers` go with every request (credentials, for example)."""

    url: str
    profile: Profile = Profile.STABLE
    algorithms: tuple[str, ...] = ("sha256", "sha512")
    repo_prefix: str = "conformance"
    pattern: str | None = None  # a regular expression searched in each check's name
    headers: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 4  # checks tried at once; 1 for a registry that is to be spared
