"""Files go up and come down; what is there already stays; what is dangerous is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oci.client.journal import Journal
from oci.client.progress import Silent
from oci.client.registry import RegistryClient
from oci.client.source import BytesSource
from oci.client.upload import push_blob
from registry.contract.digest import Algorithm, Digest
from registry.contract.manifest import OCI_MANIFEST, TITLE
from registry.contract.names import Repository, Tag
from registry.contract.package_oci import EMPTY_CONTENT, EMPTY_DESCRIPTOR
from tests.cli.conftest import Runner, content
from tests.cli.proxy import Proxy


async def put_artifact(
    registry: RegistryClient, repository: Repository, files: list[tuple[str, bytes]]
) -> None:
    """Store an artifact with these titles as `v1`, whatever they are."""
    layers = []
    for title, data in [*files, ("", EMPTY_CONTENT)]:
        digest = Digest.of(data, Algorithm.SHA256)
        await push_blob(
            registry, repository, digest, BytesSource(data), journal=Journal(None), progress=Silent()
        )
        layers.append(
            {
                "mediaType": "text/plain",
                "digest": str(digest),
                "size": len(data),
                "annotations": {TITLE: title} if title else {},
            }
        )
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/x-test",
        "config": EMPTY_DESCRIPTOR.to_json(),
        "layers": layers[:-1],
    }
    await registry.put_manifest(repository, Tag("v1"), OCI_MANIFEST, json.dumps(manifest).encode())


async def test_what_was_pushed_comes_back(
    cli: Runner, server: str, repository: Repository, folder: Path, tmp_path: Path
) -> None:
    pushed = await cli("push", f"{server}/{repository}:v1", folder, "--label", "stage=test", "--json")
    assert (pushed.code, pushed.err) == (0, "")
    assert [file["relative_path"] for file in pushed.document["files"]] == ["a.txt", "empty", "sub/large.bin"]
    pulled = await cli("pull", f"{server}/{repository}:v1", "-o", tmp_path / "out", "--json")
    assert pulled.code == 0
    assert pulled.document["fetched"] == ["a.txt", "empty", "sub/large.bin"]
    assert content(tmp_path / "out") == content(folder)
    by_digest = f"{server}/{repository}@{pushed.document['manifest_digest']}"
    assert (await cli("pull", by_digest, "-o", tmp_path / "again")).code == 0
    assert content(tmp_path / "again") == content(folder)


async def test_the_same_push_again_sends_no_content_and_names_the_same_manifest(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    host, port = server.split(":")
    first = await cli("push", f"{server}/{repository}:v1", folder, "--json")
    async with Proxy(host, int(port)) as proxy:
        second = await cli("push", f"{proxy.address}/{repository}:v1", folder, "--json")
        assert proxy.up < 10_000
    assert second.document["manifest_digest"] == first.document["manifest_digest"]
    assert not any(file["sent"] for file in second.document["files"])


async def test_a_pull_leaves_what_is_right_and_replaces_what_is_not(
    cli: Runner, server: str, repository: Repository, folder: Path, tmp_path: Path
) -> None:
    await cli("push", f"{server}/{repository}:v1", folder)
    out = tmp_path / "out"
    await cli("pull", f"{server}/{repository}:v1", "-o", out)
    (out / "a.txt").write_text("hullo\n")
    (out / "mine").write_text("kept")
    again = await cli("pull", f"{server}/{repository}:v1", "-o", out, "--json")
    assert again.document["fetched"] == ["a.txt"]
    assert again.document["present"] == ["empty", "sub/large.bin"]
    assert content(out) == content(folder) | {"mine": b"kept"}


async def test_a_byte_changed_on_the_way_fails_the_pull_and_leaves_no_file(
    cli: Runner, server: str, repository: Repository, tmp_path: Path
) -> None:
    secret = b"needle " + b"hay " * 100_000
    (tmp_path / "needle.txt").write_bytes(secret)
    (tmp_path / "other.txt").write_text("untouched")
    await cli("push", f"{server}/{repository}:v1", tmp_path / "needle.txt", tmp_path / "other.txt")
    host, port = server.split(":")
    out = tmp_path / "out"
    async with Proxy(host, int(port), spoil=lambda data: data.replace(b"needle hay", b"noodle hay")) as proxy:
        pulled = await cli("pull", f"{proxy.address}/{repository}:v1", "-o", out, "--json")
    assert pulled.code == 1
    assert "needle.txt" in pulled.document["failed"]
    assert "sha256:" in pulled.err
    # The other file is none the worse for it, and of the bad one nothing is left.
    assert content(out) == {"other.txt": b"untouched"}


@pytest.mark.parametrize("title", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil"])
async def test_an_artifact_with_a_path_out_of_the_folder_is_refused_whole(
    cli: Runner, server: str, repository: Repository, registry: RegistryClient, tmp_path: Path, title: str
) -> None:
    await put_artifact(registry, repository, [("good.txt", b"good"), (title, b"evil")])
    out = tmp_path / "deep" / "out"
    pulled = await cli("pull", f"{server}/{repository}:v1", "-o", out)
    assert pulled.code == 1
    assert "outside the folder" in pulled.err
    assert content(tmp_path / "deep") == {}
    # It can still be looked at.
    assert (await cli("inspect", f"{server}/{repository}:v1")).code == 0


async def test_a_link_in_the_folder_is_not_followed_out_of_it(
    cli: Runner, server: str, repository: Repository, registry: RegistryClient, tmp_path: Path
) -> None:
    await put_artifact(registry, repository, [("link/file", b"evil"), ("good.txt", b"good")])
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    pulled = await cli("pull", f"{server}/{repository}:v1", "-o", out)
    assert pulled.code == 1
    assert "link" in pulled.err
    assert content(elsewhere) == {}
    assert content(out) == {"good.txt": b"good"}


async def test_layers_without_a_usable_name_get_one(
    cli: Runner, server: str, repository: Repository, registry: RegistryClient, tmp_path: Path
) -> None:
    await put_artifact(registry, repository, [("", b"one"), ("twice", b"two"), ("twice", b"three")])
    assert (await cli("pull", f"{server}/{repository}:v1", "-o", tmp_path / "out")).code == 0
    found = content(tmp_path / "out")
    assert sorted(found.values()) == [b"one", b"three", b"two"]
    assert all(name.startswith(f"_layers/00{place}-") for place, name in enumerate(sorted(found)))


async def test_files_that_would_get_the_same_path_are_refused_before_anything_is_sent(
    cli: Runner, server: str, repository: Repository, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.txt").write_text(name)
    pushed = await cli("push", f"{server}/{repository}:v1", tmp_path / "one", tmp_path / "two")
    assert pushed.code == 2
    assert "same.txt" in pushed.err
    assert (await cli("ls", f"{server}/{repository}")).code == 1


async def test_a_subject_makes_a_referrer_that_inspect_shows(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    pushed = await cli("push", f"{server}/{repository}:v1", folder, "--json")
    digest = pushed.document["manifest_digest"]
    attached = await cli(
        "push", f"{server}/{repository}", folder / "a.txt", "--subject", digest,
        "--artifact-type", "application/x-sbom", "--json",
    )  # fmt: skip
    assert attached.code == 0
    found = (await cli("inspect", f"{server}/{repository}:v1", "--json")).document
    assert [(one["artifact_type"], one["digest"]) for one in found["referrers"]] == [
        ("application/x-sbom", attached.document["manifest_digest"])
    ]
    # No tag was made for it, beside those that a registry without referrers needs.
    versions = (await cli("ls", f"{server}/{repository}", "--json")).document["versions"]
    assert "latest" not in [one["version"] for one in versions]
