"""Packages through the native API: validated there, readable as any artifact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oci.client.registry import RegistryClient
from registry.contract.names import Repository
from tests.cli.conftest import Runner, content


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    """A file with a package's metadata."""
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"run": {"number": 42}, "passed": True}))
    return path


async def test_a_package_has_both_digests_and_comes_back(
    cli: Runner, server: str, repository: Repository, folder: Path, metadata: Path, tmp_path: Path
) -> None:
    reference = f"{server}/{repository}:v1"
    pushed = await cli(
        "push",
        reference,
        folder,
        "--variant",
        "cli.run.v1",
        "--metadata",
        metadata,
        "--label",
        "a=b",
        "--json",
    )
    assert (pushed.code, pushed.err) == (0, "")
    assert pushed.document["package_digest"].startswith("blake3:")
    assert pushed.document["manifest_digest"].startswith("sha256:")
    assert (await cli("pull", reference, "-o", tmp_path / "out")).code == 0
    assert content(tmp_path / "out") == content(folder)
    found = (await cli("inspect", reference, "--json")).document
    assert found["package"] == {
        "package_digest": pushed.document["package_digest"],
        "variant": "cli.run.v1",
        "metadata": {"run": {"number": 42}, "passed": True},
    }
    assert found["native"]["versions"] == ["v1"]
    assert found["labels"] == {"a": "b"}


async def test_the_same_package_again_changes_nothing_and_another_is_refused(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    reference = f"{server}/{repository}:v1"
    first = await cli("push", reference, folder, "--native", "--json")
    again = await cli("push", reference, folder, "--native", "--json")
    assert again.document["package_digest"] == first.document["package_digest"]
    assert not any(file["sent"] for file in again.document["files"])
    other = await cli("push", reference, folder / "a.txt", "--native")
    assert other.code == 1
    assert "409" in other.err


async def test_metadata_that_its_schema_refuses_is_named_path_by_path(
    cli: Runner, server: str, registry: RegistryClient, repository: Repository, folder: Path, metadata: Path
) -> None:
    variant = f"cli.{repository.rpartition('/')[2]}.v1"
    schema = {
        "type": "object",
        "properties": {"run": {"properties": {"number": {"type": "string"}}}, "passed": {"const": False}},
    }
    await registry.transport.request(
        "PUT",
        f"/api/v1/schemas/{variant}",
        headers={"Content-Type": "application/json"},
        body=json.dumps(schema).encode(),
        accept=(200, 201),
    )
    pushed = await cli(
        "push", f"{server}/{repository}:v1", folder / "a.txt", "--variant", variant, "--metadata", metadata
    )
    assert pushed.code == 1
    assert "/metadata/run/number" in pushed.err
    assert "/metadata/passed" in pushed.err


async def test_a_registry_without_the_native_api_is_told_so(cli: Runner, folder: Path, peer: str) -> None:
    pushed = await cli("push", f"{peer}/some/repository:v1", folder, "--native")
    assert pushed.code == 1
    assert "no native API" in pushed.err
