"""Tiers and jurisdictions of the settings, as the control plane takes them."""

from __future__ import annotations

from registry.contract.dataplane import DomainId
from registry.control.tiers.places import Placement
from registry.control.tiers.policy import TierPolicy, TierRule
from registry.server.settings import Settings

_MICROSECONDS = 1_000_000


def tier_policy_of(settings: Settings) -> TierPolicy:
    """The rules, in order."""
    rules = tuple(
        TierRule(
            to=rule.to,
            match=rule.match,
            at_least=rule.at_least,
            at_most=rule.at_most,
            after=int(rule.after * _MICROSECONDS),
            unread=int(rule.unread * _MICROSECONDS),
        )
        for rule in settings.tier_rules
    )
    return TierPolicy(rules, int(settings.tiers.rest * _MICROSECONDS), settings.tiers.restore_on_read)


def placement_of(settings: Settings) -> Placement:
    """Which domains may lie under which jurisdictions alone."""
    return Placement(
        {
            DomainId(domain.name): frozenset(domain.jurisdictions)
            for domain in settings.domains
            if domain.jurisdictions is not None
        }
    )
