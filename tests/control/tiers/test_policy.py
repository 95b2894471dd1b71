"""Which rule decides, and who is heard when several repositories have the same content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.contract.names import Repository
from registry.control.tiers.policy import Facts, TierPolicy, TierRule, most_reluctant
from tests.control.world import DAY

APP = Repository("team/app")
YEAR = 365 * DAY
POLICY = TierPolicy(
    (
        TierRule("local", match=("base/*", "tools")),
        TierRule("vault", at_least=1000, after=YEAR),
        TierRule("vault", unread=YEAR),
        TierRule("shelf", at_least=100, at_most=5000, after=30 * DAY),
    )
)


@pytest.mark.parametrize(
    ("repository", "facts", "place"),
    [
        ("team/app", Facts(500, 40 * DAY, 40 * DAY, 40 * DAY), "shelf"),
        ("team/app", Facts(500, 29 * DAY, 29 * DAY, 29 * DAY), None),
        ("team/app", Facts(99, 40 * DAY, 40 * DAY, 40 * DAY), None),
        ("team/app", Facts(5001, 40 * DAY, 40 * DAY, 40 * DAY), None),
        ("team/app", Facts(5001, YEAR, 2 * DAY, 2 * DAY), "vault"),
        ("team/app", Facts(500, YEAR, 2 * DAY, 2 * DAY), "shelf"),
        ("team/app", Facts(1, 2 * YEAR, YEAR, YEAR), "vault"),
        ("base/python", Facts(5001, YEAR, YEAR, YEAR), "local"),
        ("tools", Facts(5001, YEAR, YEAR, YEAR), "local"),
        ("toolset", Facts(5001, YEAR, YEAR, YEAR), "vault"),
    ],
)
def test_the_first_rule_that_fits_decides(repository: str, facts: Facts, place: str | None) -> None:
    assert POLICY.place_for(Repository(repository), facts) == place


@pytest.mark.parametrize("facts", [Facts(5001, YEAR, YEAR, DAY - 1), Facts(5001, DAY - 1, YEAR, YEAR)])
def test_what_somebody_has_just_needed_stays(facts: Facts) -> None:
    eager = TierPolicy((TierRule("vault"),))
    assert eager.place_for(APP, facts) is None
    assert TierPolicy((TierRule("vault"),), rest=0).place_for(APP, facts) == "vault"


def test_content_younger_than_every_rule_need_not_be_looked_at() -> None:
    assert POLICY.youngest == DAY
    assert TierPolicy((TierRule("a", after=9 * DAY), TierRule("b", after=8 * DAY))).youngest == 8 * DAY


PLACES = ("local", "shelf", "vault")
wishes = st.lists(st.none() | st.sampled_from(PLACES), min_size=1)


@given(wishes)
def test_whoever_wants_it_nearest_is_heard(found: list[str | None]) -> None:
    decided = most_reluctant(found, PLACES.index)
    if None in found:
        assert decided is None
    else:
        assert decided == min((wish for wish in found if wish), key=PLACES.index)


def test_what_nobody_has_stays() -> None:
    assert most_reluctant((), PLACES.index) is None
