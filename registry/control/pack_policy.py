"""Which blobs are packed, when and how, as repositories say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from registry.contract.dataplane import Codec, Packing

_NO_LIMIT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PackPolicy:
    """What one repository says. `after` is the age in microseconds since the bytes arrived, None for never.

    Sizes are in bytes, `at_most` None for no limit; `level` None leaves it to the data plane.
    """

    after: int | None = None
    at_least: int = 0
    at_most: int | None = None
    codec: Codec = Codec.ZSTD
    level: int | None = None

    def wants(self, age: int, size: int) -> bool:
        """Whether a blob of `size` bytes that arrived `age` microseconds ago is to be packed."""
        if self.after is None or age < self.after:
            return False
        return self.at_least <= size and (self.at_most is None or size <= self.at_most)

    @property
    def packing(self) -> Packing:
        """How, for the data plane. Age was judged here, by when the ledger says that the bytes arrived."""
        return Packing(at_least=self.at_least, at_most=self.at_most, codec=self.codec, level=self.level)


NEVER = PackPolicy()


def most_reluctant(policies: Iterable[PackPolicy]) -> PackPolicy:
    """What holds for a blob that several repositories have: whoever wants it whole for longer is heard.

    Whole is what reads fastest and costs nothing to make, so a repository that asked for it must not lose
    it because somebody else pushed the same bytes. Likewise the codec and level that cost least. A blob that
    no repository has is not packed.
    """
    found = None
    for policy in policies:
        found = policy if found is None else _between(found, policy)
    return found or NEVER


def _between(one: PackPolicy, other: PackPolicy) -> PackPolicy:
    if one == other:
        return one
    if one.after is None or other.after is None:
        return NEVER
    at_most = min(_most(one), _most(other))
    levels = [policy.level for policy in (one, other) if policy.level is not None]
    return PackPolicy(
        after=max(one.after, other.after),
        at_least=max(one.at_least, other.at_least),
        at_most=None if at_most == _NO_LIMIT else at_most,
        codec=Codec.NONE if Codec.NONE in (one.codec, other.codec) else one.codec,
        level=min(levels, default=None),
    )


def _most(policy: PackPolicy) -> int:
    return _NO_LIMIT if policy.at_most is None else policy.at_most
