"""Followers read the ledger in order, deliver it to a sink and keep the place where they are."""

from registry.control.followers.following import Follower

__all__ = ["Follower"]
