"""Under load, replicas and what they stand on fail one after the other: nothing acknowledged is lost, and no
answer is wrong. What each outage costs is in README.md; `make soak` takes longer over them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replicas.outage_run import check, run_outage
from tests.replicas.outages import OUTAGES, Outage, Wired, wired_cluster

pytestmark = pytest.mark.slow

_SECONDS = 3.0


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    with wired_cluster(tmp_path_factory.mktemp("outages")) as started:
        yield started
        started.it.heal()
        assert check(started)


@pytest.mark.parametrize(
    "outage",
    [outage for outage in OUTAGES if outage.brief],
    ids=lambda outage: outage.name.replace(" ", "-"),
)
def test_nothing_is_lost_and_no_answer_is_wrong(wired: Wired, outage: Outage) -> None:
    wired.it.heal()
    figures = run_outage(wired, outage, _SECONDS, seed=1)
    assert figures.acknowledged
    assert figures.reads
    if outage.harmless:
        assert not figures.failed
