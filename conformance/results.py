"""The tables of README.md: made from what a run found, and kept between markers there."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from conformance.oci_suite import Level, Outcome, Report, Verdict
from conformance.official import OfficialResult

README = Path(__file__).with_name("README.md")


def committed(block: str) -> str:
    """What stands between the markers of a block; raises ValueError when README.md has no such markers."""
    text, (start, end) = _split(block)
    return text[start:end]


def write(block: str, table: str) -> None:
    """Put a table between the markers of its block."""
    text, (start, end) = _split(block)
    README.write_text(text[:start] + table + text[end:], encoding="utf-8")


def own(stable: Report, dev: Report) -> str:
    """Our suite on our server: by edition, level and algorithm, then by section."""
    algorithms = [*dev.plan.algorithms, ""]
    lines = _head("Edition", "Level", *(name or "any" for name in algorithms), "together")
    for report in (stable, dev):
        for level in Level:
            chosen = [outcome for outcome in report.outcomes if outcome.level is level]
            by_algorithm = ([o for o in chosen if o.algorithm == name] for name in algorithms)
            cells = [_counts(part) for part in (*by_algorithm, chosen)]
            lines.append(_row(report.plan.profile, level, *cells))
        lines.append(_row(report.plan.profile, "**all**", *[""] * len(algorithms), _counts(report.outcomes)))
    lines += ["", *_head("Section", "1.1", "dev", *(f"dev, {level}" for level in Level))]
    for section in dict.fromkeys(outcome.section for outcome in dev.outcomes):
        here = _of(dev, section)
        levels = [_counts(o for o in here if o.level is level) for level in Level]
        lines.append(_row(f"`{section}`", _counts(_of(stable, section)), _counts(here), *levels))
    reasons = sorted({outcome.reason for outcome in dev.skipped})
    return "\n".join([*lines, *_notes("Skipped", reasons)]) + "\n"


def official(results: Sequence[OfficialResult]) -> str:
    """The official suite on our server."""
    lines = _head("Profile", "Data", "Passed", "Failed", "Skipped")
    for result in results:
        data = "with manifests whose blobs are absent" if result.sparse else "whole"
        counts = (result.passed, len(result.failed), len(result.skipped))
        lines.append(_row(result.profile, data, *map(str, counts)))
    skips = list(dict.fromkeys(told for result in results for told in result.skipped))
    return "\n".join([*lines, *_notes("Skipped by it", skips)]) + "\n"


def peer(report: Report) -> str:
    """Our suite on another registry, sections with a failure or a skip alone."""
    lines = _head("Section", *Level, "Skipped")
    for section in dict.fromkeys(outcome.section for outcome in report.outcomes):
        here = _of(report, section)
        failed = [outcome for outcome in here if outcome.verdict is Verdict.FAILED]
        skipped = sum(outcome.verdict is Verdict.SKIPPED for outcome in here)
        levels = [str(sum(o.level is level for o in failed) or "") for level in Level]
        if failed or skipped:
            lines.append(_row(f"`{section}`", *levels, str(skipped or "")))
    levels = [f"**{sum(o.level is level for o in report.failed)}**" for level in Level]
    lines.append(_row("**failed, of all**", *levels, f"**{len(report.skipped)}**"))
    return "\n".join([f"{len(report.passed)} of {len(report.outcomes)} passed; failed:", "", *lines]) + "\n"


def _of(report: Report, section: str) -> list[Outcome]:
    return [outcome for outcome in report.outcomes if outcome.section == section]


def _counts(outcomes: Iterable[Outcome]) -> str:
    """`passed / failed / skipped`; nothing where there is no check."""
    verdicts = [outcome.verdict for outcome in outcomes]
    return " / ".join(str(verdicts.count(verdict)) for verdict in Verdict) if verdicts else ""


def _head(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _notes(title: str, told: Sequence[str]) -> list[str]:
    return ["", f"{title}:", "", *(f"- {one}" for one in told)] if told else []


def _split(block: str) -> tuple[str, tuple[int, int]]:
    text = README.read_text(encoding="utf-8")
    opening, closing = f"<!-- results: {block} -->\n", f"<!-- end of results: {block} -->"
    start = text.index(opening) + len(opening)
    return text, (start, text.index(closing, start))
