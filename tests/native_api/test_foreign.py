"""Artifacts that came over the OCI face, read as packages; signatures of either scheme as referrers."""

from __future__ import annotations

from typing import Any

from tests.native_api.world import ROOT, World

PACKAGES = f"{ROOT}/packages"
TITLE = "org.opencontainers.image.title"
EMPTY = b"{}"


async def push_artifact(
    world: World, repository: str, tag: str | None, layers: dict[str, bytes], **more: Any
) -> str:
    config = await world.push_blob(repository, EMPTY)
    config["mediaType"] = "application/vnd.oci.empty.v1+json"
    descriptors = [
        await world.push_blob(repository, data, annotations={TITLE: title}) for title, data in layers.items()
    ]
    return await world.push_manifest(repository, tag, {"config": config, "layers": descriptors, **more})


async def test_an_artifact_reads_as_a_package_without_what_only_packages_have(world: World) -> None:
    digest = await push_artifact(
        world,
        "team/art",
        "v1",
        {"docs/a.txt": b"hello"},
        artifactType="application/vnd.example",
        annotations={"key": "value"},
    )
    package = (await world.http.get(f"{PACKAGES}/team/art:v1")).json()
    assert package["manifest_digest"] == digest
    for name in ("package_digest", "variant", "schema_version", "metadata"):
        assert package[name] is None, name
    assert package["artifact_type"] == "application/vnd.example"
    assert package["labels"] == {"key": "value"}
    assert "manifest" not in package["links"]
    assert [entry["relative_path"] for entry in package["files"]] == ["docs/a.txt"]
    assert (await world.http.get(f"{PACKAGES}/team/art:v1/files/docs/a.txt")).content == b"hello"
    canonical = await world.http.get(f"{PACKAGES}/team/art:v1/manifest.cbor")
    assert (canonical.status_code, canonical.json()["kind"]) == (404, "package_unknown")


async def test_titles_that_would_lead_elsewhere_get_other_names(world: World) -> None:
    await push_artifact(world, "art", "v1", {"../../etc/passwd": b"1", "/abs": b"2", "fine": b"3"})
    package = (await world.http.get(f"{PACKAGES}/art:v1")).json()
    names = [entry["relative_path"] for entry in package["files"]]
    assert names[0].startswith("_layers/000-")
    assert names[1].startswith("_layers/001-")
    assert names[2] == "fine"
    for entry, data in zip(package["files"], (b"1", b"2", b"3"), strict=True):
        assert (await world.http.get(entry["links"]["self"])).content == data


async def test_an_index_has_children_and_no_files(world: World) -> None:
    child = await push_artifact(world, "art", None, {"a": b"1"})
    size = len((await world.http.get(f"{ROOT}/content/{child}")).content)
    descriptor = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": child,
        "size": size,
        "annotations": {"os": "plan9"},
    }
    await world.push_manifest("art", "all", {"manifests": [descriptor]})
    package = (await world.http.get(f"{PACKAGES}/art:all")).json()
    assert package["files"] == []
    (listed,) = package["children"]
    assert (listed["digest"], listed["annotations"]) == (child, {"os": "plan9"})
    assert (await world.http.get(listed["links"]["self"])).status_code == 200


async def test_referrers_come_in_pages_and_by_type(world: World) -> None:
    subject = await push_artifact(world, "art", "v1", {"a": b"1"})
    of = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": subject,
        "size": len((await world.http.get(f"{ROOT}/content/{subject}")).content),
    }
    pushed = [
        await push_artifact(
            world, "art", None, {"s": bytes([n])}, subject=of, artifactType=f"application/vnd.t{n % 2}"
        )
        for n in range(5)
    ]
    path = f"{PACKAGES}/art:v1/referrers"
    assert await digests(world, path, limit=2) == pushed
    assert await digests(world, path, limit=100, artifact_type="application/vnd.t1") == pushed[1::2]
    assert await digests(world, path, limit=100, artifact_type="application/vnd.none") == []


async def test_signatures_under_tags_of_the_digest_are_listed_first(world: World) -> None:
    subject = await push_artifact(world, "art", "v1", {"a": b"1"})
    tag = subject.replace(":", "-")
    signature = await push_artifact(world, "art", f"{tag}.sig", {"s": b"sig"})
    attestation = await push_artifact(world, "art", f"{tag}.att", {"s": b"att"})
    of = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": subject,
        "size": len((await world.http.get(f"{ROOT}/content/{subject}")).content),
    }
    bundle = await push_artifact(world, "art", None, {"s": b"bundle"}, subject=of)
    path = f"{PACKAGES}/art:v1/referrers"
    for limit in (1, 2, 3, 100):
        assert await digests(world, path, limit=limit) == [signature, attestation, bundle]
    first = (await world.http.get(path)).json()["items"][0]
    assert first["tag"] == f"{tag}.sig"
    assert (await world.http.get(path, params={"after": "tag.nothing"})).status_code == 400


async def test_referrers_of_what_is_not_there_are_404(world: World) -> None:
    answer = await world.http.get(f"{PACKAGES}/art:v1/referrers")
    assert (answer.status_code, answer.json()["kind"]) == (404, "package_unknown")


async def digests(world: World, path: str, **query: Any) -> list[str]:
    """All pages."""
    found: list[str] = []
    while True:
        page = (await world.http.get(path, params=query)).json()
        assert len(page["items"]) <= query["limit"]
        found += [item["digest"] for item in page["items"]]
        if page["next"] is None:
            return found
        query["after"] = page["next"]
