"""One store, two faces: what goes up through either comes down through the other, byte for byte."""

import json
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conformance.clients import images, material
from conformance.clients.curl import JSON, Curl, open_curl
from conformance.clients.shell import Shell
from conformance.clients.tools import need
from conformance.server import Server

SBOM = "application/vnd.example.sbom"


@pytest.fixture
def curl(shell: Shell) -> Curl:
    """`curl("-X", "POST", url, status=201)`"""
    return open_curl(shell)


@pytest.fixture
def package(curl: Curl, native: str, repository: str, hundred_files: Path) -> str:
    """A package of a hundred files put through the native API; the URL of its version v1."""
    url = f"{native}/packages/{repository}:v1"
    for name in material.names(hundred_files):
        curl.shell.run(curl.program, "-fsS", "-T", hundred_files / name, f"{url}/files/{quote(name)}")
    body = json.dumps({"metadata": {"made": "here"}, "labels": {"stage": "walk"}})
    curl("-X", "POST", *JSON, "-d", body, f"{url}/finalize", status=201)
    return url


@pytest.mark.parametrize("client", ["oras-driver", "oras"])
def test_native_up_oras_down(
    shell: Shell, package: str, remote: str, hundred_files: Path, tmp_path: Path, client: str
) -> None:
    oras = need(client)
    shell.run(oras, "pull", "--plain-http", "--output", tmp_path / "out", f"{remote}:v1")
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)
    manifest = shell.run(oras, "manifest", "fetch", "--plain-http", f"{remote}:v1").json
    assert manifest["config"]["mediaType"] == "application/vnd.artifact-store.package.v1+cbor"
    assert manifest["annotations"]["stage"] == "walk"


def test_native_up_oras_py_down(
    package: str, oras_py: Any, remote: str, hundred_files: Path, tmp_path: Path
) -> None:
    oras_py.pull(target=f"{remote}:v1", outdir=str(tmp_path / "out"))
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)


def test_a_native_package_is_still_one_after_a_copy_by_oras(
    curl: Curl, shell: Shell, package: str, native: str, remote: str, repository: str
) -> None:
    plain = ("--from-plain-http", "--to-plain-http")
    shell.run(need("oras-driver"), "cp", "-r", *plain, f"{remote}:v1", f"{remote}/copy:v1")
    copied = curl(f"{native}/packages/{repository}/copy:v1").json
    assert copied["package_digest"] == curl(package).json["package_digest"]
    assert copied["metadata"] == {"made": "here"}


@pytest.mark.parametrize("client", ["oras-driver", "oras"])
def test_oras_up_native_down(
    curl: Curl,
    shell: Shell,
    native: str,
    remote: str,
    repository: str,
    hundred_files: Path,
    tmp_path: Path,
    client: str,
) -> None:
    names = material.names(hundred_files)
    push = ("push", "--plain-http", "--artifact-type", SBOM, "--annotation", "by=walk", f"{remote}:v1")
    shell.run(need(client), *push, *names, cwd=hundred_files)
    package = f"{native}/packages/{repository}:v1"
    read = curl(package).json
    assert sorted(entry["relative_path"] for entry in read["files"]) == names
    assert (read["package_digest"], read["variant"], read["metadata"]) == (None, None, None)
    assert read["labels"]["by"] == "walk"
    for name in names[::10]:
        assert curl(f"{package}/files/{quote(name)}").body == (hundred_files / name).read_bytes()
    curl(f"{package}/manifest.cbor", status=404)
    shell.run(curl.program, "-fsS", "-o", "archive.tar", f"{package}/archive.tar")
    with tarfile.open(shell.home / "archive.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)


def test_signatures_and_attachments_show_on_a_native_package(
    curl: Curl, shell: Shell, package: str, remote: str, hundred_files: Path
) -> None:
    cosign, oras = need("cosign"), need("oras-driver")
    attached = ("--artifact-type", SBOM, f"{remote}:v1", "twin-a.txt")
    shell.run(oras, "attach", "--plain-http", *attached, cwd=hundred_files)
    shell.run(cosign, "generate-key-pair")
    shell.run(cosign, "signing-config", "create", "--out", "signing.json")
    shell.run(cosign, "trusted-root", "create", "--out", "root.json")
    reference = f"{remote}@{curl(package).json['manifest_digest']}"
    root = ("--allow-http-registry", "--trusted-root", "root.json")
    shell.run(
        cosign, "sign", *root, "--yes", "--key", "cosign.key", "--signing-config", "signing.json", reference
    )
    shell.run(cosign, "verify", *root, "--key", "cosign.pub", "--insecure-ignore-tlog=true", reference)

    seen = curl(f"{package}/referrers").json["items"]
    tree = shell.run(oras, "discover", "--plain-http", reference).json["referrers"]
    assert {item["digest"] for item in seen} == {node["digest"] for node in tree}
    assert {node["artifactType"] for node in tree} == {
        SBOM,
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }


def test_a_native_package_refers_to_an_image(
    curl: Curl, shell: Shell, server: Server, native: str, repository: str
) -> None:
    image = images.push(server, repository, "v1", images.image("has a report"))
    subject = image.rpartition("@")[2]
    body = json.dumps({"variant": "walk.report.v1", "metadata": {}, "files": [], "subject": subject})
    put = curl("-X", "PUT", *JSON, "-d", body, f"{native}/packages/{repository}:report", status=201).json
    (report,) = shell.run(need("oras-driver"), "discover", "--plain-http", image).json["referrers"]
    assert report["digest"] == put["manifest_digest"]
    assert report["artifactType"] == "application/vnd.walk.report.v1"


def test_charts_and_images_read_as_packages(
    curl: Curl, shell: Shell, server: Server, native: str, remote: str, repository: str
) -> None:
    helm = need("helm")
    shell.run(helm, "create", "walk")
    shell.run(helm, "package", "walk", "--version", "1.2.3+x")
    shell.run(helm, "push", "walk-1.2.3+x.tgz", f"oci://{remote}", "--plain-http")
    chart = curl(f"{native}/packages/{repository}/walk:1.2.3_x").json
    (archive,) = chart["files"]
    path = quote(archive["relative_path"])
    body = curl(f"{native}/packages/{repository}/walk:1.2.3_x/files/{path}").body
    assert body == (shell.home / "walk-1.2.3+x.tgz").read_bytes()

    made = images.image("read as a package")
    images.push(server, repository, "image", made)
    read = curl(f"{native}/packages/{repository}:image").json
    assert read["manifest_digest"] == made.manifest.digest
    assert [entry["size"] for entry in read["files"]] == [len(made.blobs[1].content)]

    (shell.home / "layer.tar").write_bytes(images.tar({"etc/greeting": b"hello"}))
    shell.run(need("crane"), "--insecure", "append", "-f", "layer.tar", "-t", f"{remote}:docker")
    docker = curl(f"{native}/packages/{repository}:docker").json
    assert docker["media_type"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert len(docker["files"]) == 1


def test_deletion_on_one_face_shows_on_the_other(
    curl: Curl, shell: Shell, server: Server, native: str, remote: str, repository: str
) -> None:
    crane = need("crane")
    images.push(server, repository, "v1", images.image("one"))
    curl("-X", "DELETE", f"{native}/packages/{repository}:v1", status=202)
    shell.refused("MANIFEST_UNKNOWN", crane, "--insecure", "manifest", f"{remote}:v1")
    second = images.push(server, repository, "v2", images.image("two"))
    shell.run(crane, "--insecure", "delete", second)
    curl(f"{native}/packages/{repository}:v2", status=404)
