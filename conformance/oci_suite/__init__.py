"""The project's own OCI distribution conformance suite; it takes any registry's URL."""

from .outcome import Outcome, Report, Verdict
from .plan import Level, Profile
from .runner import CannotRunError, as_edition, run
from .writers import as_json, as_junit, as_markdown

__all__ = [
    "CannotRunError",
    "Level",
    "Outcome",
    "Profile",
    "Report",
    "Verdict",
    "as_edition",
    "as_json",
    "as_junit",
    "as_markdown",
    "run",
]
