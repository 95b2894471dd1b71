"""The registry conforms: our suite and, where it is on PATH, the official one; README.md tells the results.

`WRITE_TABLE=1` (as `make conformance` has it) writes the tables of README.md; otherwise the committed one
must be what this run finds.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import official, results
from conformance.oci_suite import Profile, Report, as_edition, run
from conformance.server import Server, program, started
from conformance.settings import from_environment

ALGORITHMS = ("sha256", "sha512", "blake3")

SPARSE_POLICY = f"""
[[repository]]
match = "{official.SPARSE}/*"
sparse = true
"""

# The first test of a run waits for all its checks: about a minute on an idle machine with two cores.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def dev(server: Server) -> Report:
    """What our suite finds, all of it, in the edition that has every check."""
    return run(server.url, Profile.DEV, algorithms=ALGORITHMS)


@pytest.fixture(scope="module")
def stable(dev: Report) -> Report:
    """The same by the release."""
    return as_edition(dev, Profile.STABLE)


@pytest.fixture(scope="module")
def policed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Our server with a policy that takes manifests without their blobs in some repositories."""
    folder = tmp_path_factory.mktemp("policed")
    settings = folder / "settings.toml"
    settings.write_text(SPARSE_POLICY)
    with started(program(), folder, "--config", str(settings)) as server:
        yield server


@pytest.mark.parametrize("edition", ["stable", "dev"])
def test_our_suite_finds_no_failure(request: pytest.FixtureRequest, edition: str) -> None:
    report: Report = request.getfixturevalue(edition)
    assert "\n".join(line for outcome in report.failed for line in outcome.lines()) == ""
    assert [outcome.name for outcome in report.skipped if not outcome.reason] == []
    assert len(report.passed) > 3000


def test_the_product_needs_no_check_skipped(server: Server, dev: Report) -> None:
    if not server.is_ours:
        pytest.skip(f"{server.url} is another registry, which may lack what is optional (optional)")
    assert "\n".join(line for outcome in dev.skipped for line in outcome.lines()) == ""


def test_the_committed_table_is_what_was_found(server: Server, stable: Report, dev: Report) -> None:
    if not server.is_ours:
        pytest.skip(f"the table tells of the product, and {server.url} was tried (optional)")
    table = results.own(stable, dev)
    if from_environment().write_table:
        results.write("own", table)
    assert results.committed("own") == table, "`make conformance` writes the table anew"


def test_the_official_suite_finds_no_failure(policed: Server, tmp_path: Path) -> None:
    suite = official.program()
    if suite is None:
        pytest.skip("the official suite, `conformance`, is not on PATH (optional)")
    found = []
    for number, (sparse, profile) in enumerate((s, p) for s in (False, True) for p in Profile):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.append(official.run(suite, policed, profile, folder, sparse=sparse))
    assert [told for result in found for told in result.failed] == []
    if from_environment().write_table:
        results.write("official", results.official(found))


def test_a_peer_is_told_of_for_comparison(request: pytest.FixtureRequest) -> None:
    """Only when the tables are written: what another registry fails is no reason to fail our run."""
    if not from_environment().write_table:
        pytest.skip("compared when the tables are written, WRITE_TABLE=1 (optional)")
    distribution: str = request.getfixturevalue("distribution")
    report = run(distribution, Profile.DEV)
    assert report.failed
    results.write("distribution", results.peer(report))
