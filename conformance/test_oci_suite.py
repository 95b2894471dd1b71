"""The suite itself: it finds the known failures of a real registry, and fails nothing that it does right."""

import json
from collections import Counter
from xml.etree import ElementTree

import pytest

from conformance.distribution import free_port
from conformance.oci_suite import Report, Verdict, as_json, as_junit, as_markdown, run
from conformance.oci_suite.cli import main
from conformance.oci_suite.plan import Plan, Profile
from conformance.oci_suite.runner import collect

SAMPLE = (
    r"^(pull/(blobs|ranges|manifests/pull)|push/(blobs|digest|chunked|mount|subject|tag-parameter|tags)/"
    r"|push/manifests/(push|foreign_layers)\[|discovery/(tags|referrers)/|management/(tags|blobs)/)"
)


@pytest.fixture(scope="module")
def report(distribution: str) -> Report:
    """What the suite says of distribution, checks of all sections that tell it from a full registry."""
    return run(distribution, "dev", pattern=SAMPLE)


@pytest.mark.parametrize(
    "name",
    [
        "push/manifests/push[image,by digest,sha512]",
        "push/subject/subject_header[artifact,subject there,sha256]",
        "push/subject/subject_header_by_tag[index]",
        "discovery/referrers/empty[manifest,sha256]",
        "discovery/referrers/content_type[empty]",
        "discovery/referrers/listed_under_subject[cosign-bundle,subject there,sha256]",
        "discovery/referrers/malformed[nonsense]",
        "push/tag-parameter/supported[three,sha256]",
        "push/manifests/foreign_layers[application/vnd.oci.image.layer.nondistributable.v1.tar+gzip,sha256]",
    ],
)
def test_finds_what_distribution_is_known_to_fail(report: Report, name: str) -> None:
    (outcome,) = (outcome for outcome in report.outcomes if outcome.name == name)
    assert outcome.verdict is Verdict.FAILED
    assert outcome.sent and outcome.came and outcome.expected


@pytest.mark.parametrize(
    "rule",
    [
        "pull/blobs/get_blob",
        "pull/ranges/one_range",
        "pull/manifests/pull",
        "push/blobs/push",
        "push/blobs/location_pulls",
        "push/digest/nothing_after_mismatch",
        "push/chunked/survives",
        "push/mount/mount",
        "push/manifests/push",
        "push/tags/moves",
        "discovery/tags/order",
        "discovery/tags/walk_by_last",
        "management/tags/delete",
        "management/blobs/delete",
    ],
)
def test_passes_what_distribution_does_right(report: Report, rule: str) -> None:
    outcomes = [o for o in report.outcomes if o.name.split("[")[0] == rule and "sha512" not in o.name]
    assert outcomes
    assert [outcome.lines() for outcome in outcomes if outcome.verdict is not Verdict.PASSED] == []


def test_reports_are_well_formed(report: Report) -> None:
    told = json.loads(as_json(report))
    assert told["counts"]["failed"] == len(report.failed) > 0
    assert len(told["checks"]) == len(report.outcomes)
    suite = ElementTree.fromstring(as_junit(report))
    assert len(suite.findall("testcase/failure")) == len(report.failed)
    assert f"**{len(report.failed)}**" in as_markdown(report)


@pytest.mark.parametrize("profile", list(Profile))
def test_every_check_has_a_name_of_its_own(profile: Profile) -> None:
    names = Counter(case.name for case in collect(Plan("", profile, ("sha256", "sha512", "blake3"))))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 2000


def test_an_address_without_a_registry_cannot_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", f"http://127.0.0.1:{free_port()}"]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_lists_the_checks_that_a_pattern_finds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "-k", "^push/cancel/", "--profile", "dev"]) == 0
    assert "push/cancel/cancel[empty]" in capsys.readouterr().out
    assert main(["--list", "-k", "^push/cancel/"]) == 0
    assert capsys.readouterr().out == ""
