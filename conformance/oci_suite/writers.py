"""A report as JSON (for programs), JUnit XML (for CI) and Markdown (for people)."""

import json
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from .outcome import Outcome, Report, Verdict


def as_json(report: Report) -> str:
    """Everything that is known of the run."""
    plan = report.plan
    counts = {verdict.value: len(report.of(verdict)) for verdict in Verdict}
    checks = [
        {name: value for name, value in vars(outcome).items() if value != ""} for outcome in report.outcomes
    ]
    head = {
        "url": plan.url,
        "profile": plan.profile,
        "algorithms": plan.algorithms,
        "seconds": report.seconds,
    }
    return json.dumps({**head, "counts": counts, "checks": checks}, indent=1) + "\n"


def as_junit(report: Report) -> str:
    """A test suite with a test case for each check."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"oci_suite {report.plan.profile}",
        tests=str(len(report.outcomes)),
        failures=str(len(report.failed)),
        skipped=str(len(report.skipped)),
        time=f"{report.seconds:.3f}",
    )
    for outcome in report.outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname=outcome.section, name=outcome.name, time=f"{outcome.seconds:.3f}"
        )
        if outcome.verdict is Verdict.FAILED:
            failure = ElementTree.SubElement(
                case, "failure", message=_clean(f"{outcome.level}: {outcome.says}")
            )
            failure.text = _clean("\n".join(outcome.lines()))
        elif outcome.verdict is Verdict.SKIPPED:
            ElementTree.SubElement(case, "skipped", message=outcome.reason)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_markdown(report: Report) -> str:
    """A table by section, then each failure, then why checks were skipped."""
    plan = report.plan
    lines = [
        f"Profile {plan.profile}; {', '.join(plan.algorithms)}.",
        "",
        "| Section | Passed | Failed | Skipped |",
        "|---|---|---|---|",
    ]
    sections: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        sections.setdefault(outcome.section, []).append(outcome)
    for section, outcomes in sections.items():
        counts = [len(report.of(verdict, outcomes)) for verdict in Verdict]
        lines.append(f"| {section} | {' | '.join(map(str, counts))} |")
    totals = [len(report.of(verdict)) for verdict in Verdict]
    lines.append(f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |")
    if report.failed:
        lines += ["", "Failed:", "", "| Check | Level | Sent | Came | Expected |", "|---|---|---|---|---|"]
        lines += [
            f"| {' | '.join(map(_cell, (o.name, o.level, o.sent, o.came, o.expected)))} |"
            for o in report.failed
        ]
    if report.skipped:
        reasons: dict[str, int] = {}
        for outcome in report.skipped:
            reasons[outcome.reason] = reasons.get(outcome.reason, 0) + 1
        lines += ["", "Skipped:", "", *(f"- {count} times: {reason}" for reason, count in reasons.items())]
    return "\n".join(lines) + "\n"


WRITERS: Mapping[str, Callable[[Report], str]] = {"json": as_json, "junit": as_junit, "markdown": as_markdown}


def _cell(text: str) -> str:
    return _clean(text).replace("|", "\\|").replace("\n", " ")


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
