"""Artifacts that came over the OCI face, read as packages; signatures of either scheme as referrers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.native_api.world import ROOT, World, sha256

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


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/x\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("text/\x07", "application/octet-stream"),
        ("tëxt/plain", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
async def test_a_media_type_that_fits_no_header_is_not_sent(world: World, declared: str, sent: str) -> None:
    config = await world.push_blob("art", EMPTY)
    layer = await world.push_blob("art", b"hello", annotations={TITLE: "a"}, mediaType=declared)
    await world.push_manifest("art", "v1", {"config": config, "layers": [layer]})
    answer = await world.http.get(f"{PACKAGES}/art:v1/files/a")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["Content-Type"] == sent
    assert "Set-Cookie" not in answer.headers


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


async def test_what_is_pushed_over_the_registry_face_reads_as_a_package(world: World) -> None:
    blobs = {}
    for data in (b"{}", b"hello from oras"):
        digest = str(sha256(data))
        pushed = await world.http.post(f"/v2/team/art/blobs/uploads/?digest={digest}", content=data)
        assert pushed.status_code == 201
        blobs[data] = {"mediaType": "text/plain", "digest": digest, "size": len(data)}
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {**blobs[b"{}"], "mediaType": "application/vnd.oci.empty.v1+json"},
            "layers": [{**blobs[b"hello from oras"], "annotations": {TITLE: "hi.txt"}}],
        }
    ).encode()
    headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    assert (
        await world.http.put("/v2/team/art/manifests/v1", content=manifest, headers=headers)
    ).status_code == 201
    package = (await world.http.get(f"{PACKAGES}/team/art:v1")).json()
    assert package["manifest_digest"] == str(sha256(manifest))
    assert (await world.http.get(package["files"][0]["links"]["self"])).content == b"hello from oras"
    assert (await world.http.get(package["files"][0]["links"]["self"])).headers[
        "Content-Type"
    ] == "text/plain"


async def test_a_package_is_pulled_over_the_registry_face(world: World) -> None:
    package = await world.put_package(
        "team/app:v1", {"dir/a.txt": b"hello"}, variant="x.v1", labels={"k": "v"}
    )
    pulled = await world.http.get(package["links"]["oci"])
    assert pulled.headers["Docker-Content-Digest"] == package["manifest_digest"]
    manifest = pulled.json()
    (layer,) = manifest["layers"]
    assert layer["annotations"][TITLE] == "dir/a.txt"
    assert (await world.http.get(f"/v2/team/app/blobs/{layer['digest']}")).content == b"hello"
    config = await world.http.get(f"/v2/team/app/blobs/{manifest['config']['digest']}")
    assert config.content == (await world.http.get(package["links"]["manifest"])).content
    note = await world.put_package("team/app:note", {}, variant="note.v1", subject=package["manifest_digest"])
    referrers = await world.http.get(f"/v2/team/app/referrers/{package['manifest_digest']}")
    assert [item["digest"] for item in referrers.json()["manifests"]] == [note["manifest_digest"]]


async def test_a_variants_schema_holds_for_what_comes_over_the_registry_face(world: World) -> None:
    schema = {"type": "object", "required": ["score"]}
    assert (await world.http.put(f"{ROOT}/schemas/run.v1", json=schema)).status_code == 201
    for config, status in ((b'{"score": 1}', 201), (b'{"other": 1}', 400)):
        descriptor = await world.push_blob("art", config)
        manifest = {
            "schemaVersion": 2,
            "artifactType": "application/vnd.run.v1",
            "config": {**descriptor, "mediaType": "application/json"},
            "layers": [],
        }
        answer = await world.http.put(
            "/v2/art/manifests/latest",
            json=manifest,
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
        )
        assert answer.status_code == status


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
