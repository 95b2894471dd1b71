"""Repositories whose policy lets manifests go that nothing has needed for long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.contract.digest import Algorithm
from registry.contract.names import Tag, subject_of_tag
from registry.control import RepositoryPolicy
from registry.control.collection_plan import plan
from registry.control.core import DAY, HOUR, SECOND
from registry.control.sql.holding import WEAK
from tests.control.collection.world import LATER, A, B, World, digest_of, open_world
from tests.documents import descriptor, index, manifest

WEEK = 7 * DAY


@pytest.fixture
async def weekly(tmp_path: Path, database: str | Path) -> AsyncIterator[World]:
    """`team/a` lets untagged manifests go after a week."""
    policies = (RepositoryPolicy(match="team/a", untagged_after=WEEK),)
    async with open_world(tmp_path, database, policies=policies) as opened:
        yield opened


async def test_an_untagged_manifest_goes_after_its_time_and_its_layers_a_lease_later(weekly: World) -> None:
    await weekly.push_blob(b"layer")
    await weekly.push(manifest(b"layer"))
    assert (await weekly.collect(LATER)).manifests == 0
    assert (await weekly.collect(WEEK - HOUR)).manifests == 0
    weekly.clock.ahead += 2 * HOUR
    assert (await plan(weekly.store.core)).manifests == 1
    assert (await weekly.collect()).manifests == 1
    assert not await weekly.has_manifest(manifest(b"layer"))
    assert (await weekly.collect(LATER)).unlinked == 2
    assert await weekly.bytes_held() == {}
    await weekly.rebuilds_to_the_same()


async def test_only_where_the_policy_says_so(weekly: World) -> None:
    await weekly.push(manifest(), None, B)
    for _ in range(3):
        await weekly.collect(WEEK)
    assert await weekly.has_manifest(manifest(), B)


async def test_what_a_tag_needs_stays(weekly: World) -> None:
    child, signature, signed_by_tag = manifest(n=1), manifest(n=2), manifest(n=3)
    await weekly.push(child)
    await weekly.push(index(child), "multi")
    about = {"subject": descriptor(child, "application/vnd.oci.image.manifest.v1+json")}
    referrer = manifest(**about)
    await weekly.push(referrer)
    await weekly.push(signature, f"sha256-{digest_of(child).hex}.sig")
    await weekly.push(signed_by_tag, f"sha256-{digest_of(index(child)).hex}")
    early = manifest(subject=descriptor(b"to come", "application/vnd.oci.image.manifest.v1+json"))
    await weekly.push(early)
    for _ in range(3):
        await weekly.collect(WEEK)
    for data in (child, index(child), referrer, signature, signed_by_tag, early):
        assert await weekly.has_manifest(data)


async def test_an_index_goes_with_its_children_and_their_signatures(weekly: World) -> None:
    child, other, signature = manifest(n=1), manifest(n=2), manifest(n=3)
    await weekly.push(child)
    await weekly.push(other)
    await weekly.push(index(child, other), "multi")
    await weekly.push(manifest(subject=descriptor(child, "application/vnd.oci.image.manifest.v1+json")))
    await weekly.push(signature, f"sha256-{digest_of(child).hex}.sig")
    await weekly.collect(LATER)
    await weekly.push(other, "kept")
    await weekly.session.manifests.delete(A, Tag("multi"))
    await weekly.collect(LATER)
    assert (await weekly.collect(WEEK)).manifests == 4
    assert await weekly.has_manifest(other)
    assert [event.tag for event in await weekly.events("tag.deleted")][-1].endswith(".sig")
    await weekly.rebuilds_to_the_same()


async def test_a_tag_in_time_saves_it(weekly: World) -> None:
    await weekly.push(manifest())
    await weekly.collect(LATER)
    weekly.clock.ahead += WEEK
    await weekly.push(manifest(), "kept")
    assert (await weekly.collect()).manifests == 0
    await weekly.session.manifests.delete(A, Tag("kept"))
    assert (await weekly.collect()).manifests == 0, "its time begins anew"
    assert (await weekly.collect(WEEK)).manifests == 1


async def test_who_was_told_that_an_untagged_manifest_is_there_can_list_it(weekly: World) -> None:
    await weekly.push(manifest())
    await weekly.collect(LATER)
    weekly.clock.ahead += WEEK
    assert await weekly.has_manifest(manifest())
    assert (await weekly.collect()).manifests == 0
    await weekly.push(index(manifest()), "multi")
    await weekly.collect(2 * WEEK)
    await weekly.collect(2 * WEEK)
    assert await weekly.has_manifest(manifest())


async def test_a_tag_that_only_begins_like_a_signature_keeps_its_manifest(weekly: World) -> None:
    odd = (
        f"sha256-{'g' * 64}",
        f"SHA256-{'a' * 64}",
        f"sha256-{'a' * 64}.foo",
        f"sha256-{'a' * 64}-abc",
        f"sha256-{'a' * 63}",
    )
    for number, tag in enumerate(odd):
        await weekly.push(manifest(n=number), tag)
    for _ in range(3):
        await weekly.collect(WEEK + HOUR)
    for number in range(len(odd)):
        assert await weekly.has_manifest(manifest(n=number))


async def test_weak_tags_are_those_of_the_contract(weekly: World) -> None:
    """What SQL says of a tag is what `names.subject_of_tag` does, for SHA-256."""
    hexadecimal = "0123456789abcdef" * 4
    tags = [f"sha256-{hexadecimal}{end}" for end in ("", ".sig", ".att", ".sbom", ".sigs", "0", ".SIG")]
    tags += [f"sha256-{hexadecimal[:-1]}g", f"sha256-G{hexadecimal[1:]}", f"sha512-{hexadecimal * 2}"]
    for tag in tags:
        found = await weekly.rows(
            f"SELECT CASE WHEN {WEAK} THEN 1 ELSE 0 END FROM (SELECT :tag AS name) t", tag=tag
        )
        speaks = subject_of_tag(Tag(tag))
        expected = speaks is not None and speaks.algorithm is Algorithm.SHA256
        assert bool(found[0][0]) is expected, tag


async def test_a_policy_shorter_than_a_lease_waits_for_the_lease(
    tmp_path: Path, database: str | Path
) -> None:
    """Children come first: who has pushed them has a day for the index."""
    policies = (RepositoryPolicy(match="*", untagged_after=SECOND),)
    async with open_world(tmp_path, database, policies=policies) as hasty:
        child = manifest(n=1)
        await hasty.push(child)
        await hasty.collect()
        await hasty.collect(23 * HOUR)
        await hasty.push(index(child), "multi")
        assert await hasty.has_manifest(child)
        await hasty.collect(LATER)
        assert await hasty.has_manifest(child)


async def test_who_asked_for_a_signature_finds_it_for_a_day(weekly: World) -> None:
    """It goes with its subject, and it has only a tag that does not hold it."""
    subject, signature = manifest(n=1), manifest(n=2)
    await weekly.push(subject)
    await weekly.push(signature, f"sha256-{digest_of(subject).hex}.sig")
    await weekly.collect()
    weekly.clock.ahead += WEEK - HOUR
    assert await weekly.has_manifest(signature)
    await weekly.collect(2 * HOUR)
    assert await weekly.has_manifest(signature)


async def test_an_immutable_tag_keeps_its_manifest_whatever_the_policy(
    tmp_path: Path, database: str | Path
) -> None:
    policies = (RepositoryPolicy(match="*", untagged_after=WEEK, immutable_tags=("*",)),)
    async with open_world(tmp_path, database, policies=policies) as kept:
        subject, signature = manifest(n=1), manifest(n=2)
        await kept.push(subject, "v1")
        await kept.push(signature, f"sha256-{digest_of(subject).hex}.sig")
        for _ in range(3):
            await kept.collect(WEEK + HOUR)
        assert await kept.has_manifest(subject)
        assert await kept.has_manifest(signature)
