"""curl on the native API: resumable uploads, packages, drafts, schemas, search, events."""

import json
import tarfile
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

from conformance.clients import material
from conformance.clients.curl import JSON, Curl, open_curl
from conformance.clients.shell import Shell
from conformance.server import Server


@pytest.fixture
def curl(shell: Shell) -> Curl:
    """`curl("-X", "POST", url, status=201)`"""
    return open_curl(shell)


def upload(curl: Curl, server: Server, native: str, path: Path) -> str:
    """Upload a file in one PATCH; answers its content address."""
    session = curl("-X", "POST", *JSON, "-d", "{}", f"{native}/uploads", status=201)
    place = server.url + session.headers["location"]
    last = path.stat().st_size - 1
    if last >= 0:
        body = ("-H", f"Content-Range: bytes 0-{last}/*", "--data-binary", f"@{path}")
        curl("-X", "PATCH", *body, place, status=204)
    done = curl("-X", "POST", *JSON, "-d", "{}", f"{place}/complete", status=201).json
    assert done["size"] == path.stat().st_size
    assert done["digests"]["sha256"].removeprefix("sha256:") == material.sha256(path).removeprefix("sha256:")
    address: str = done["content_address"]
    return address


def test_an_upload_is_resumed_where_it_broke_off(
    curl: Curl, shell: Shell, server: Server, native: str, hundred_files: Path
) -> None:
    whole = (hundred_files / "one-mib.bin").read_bytes()
    first, rest = shell.home / "first.part", shell.home / "rest.part"
    first.write_bytes(whole[:700_000])
    rest.write_bytes(whole[700_000:])
    size = json.dumps({"size": len(whole)})

    session = curl("-X", "POST", *JSON, "-d", size, f"{native}/uploads", status=201)
    assert session.json["offset"] == 0
    place = server.url + session.headers["location"]
    part = ("-H", "Content-Range: bytes 0-699999/*", "--data-binary", f"@{first}")
    assert curl("-X", "PATCH", *part, place, status=204).headers["upload-offset"] == "700000"

    assert curl("-X", "PATCH", *part, place, status=409).headers["upload-offset"] == "700000"
    assert curl("-I", place).headers["upload-offset"] == "700000"
    assert curl(place).json["offset"] == 700_000
    curl("-X", "POST", *JSON, "-d", "{}", f"{place}/complete", status=409)

    part = ("-H", f"Content-Range: bytes 700000-{len(whole) - 1}/*", "--data-binary", f"@{rest}")
    curl("-X", "PATCH", *part, place, status=204)
    wrong = json.dumps({"digest": f"sha256:{'0' * 64}"})
    curl("-X", "POST", *JSON, "-d", wrong, f"{place}/complete", status=422)
    right = json.dumps({"digest": material.sha256(hundred_files / "one-mib.bin")})
    done = curl("-X", "POST", *JSON, "-d", right, f"{place}/complete", status=201).json
    assert done["content_address"].startswith("blake3:")
    again = curl("-X", "POST", *JSON, "-d", right, f"{place}/complete", status=201).json
    assert again["content_address"] == done["content_address"]


def test_a_tus_client_finds_its_protocol(
    curl: Curl, server: Server, native: str, hundred_files: Path
) -> None:
    path = hundred_files / "twin-a.txt"
    tus = ("-H", "Tus-Resumable: 1.0.0")
    length = ("-H", f"Upload-Length: {path.stat().st_size}")
    session = curl("-X", "POST", *tus, *length, f"{native}/uploads", status=201)
    place = server.url + session.headers["location"]
    body = ("-H", "Upload-Offset: 0", "-H", "Content-Type: application/offset+octet-stream")
    done = curl("-X", "PATCH", *tus, *body, "--data-binary", f"@{path}", place, status=204)
    assert done.headers["upload-offset"] == str(path.stat().st_size)
    content = curl("-X", "POST", *JSON, "-d", "{}", f"{place}/complete", status=201).json
    assert content["size"] == path.stat().st_size


def test_a_package_is_put_read_and_deleted(
    curl: Curl, shell: Shell, server: Server, native: str, repository: str, hundred_files: Path
) -> None:
    package = f"{native}/packages/{repository}:1.0"
    address = upload(curl, server, native, hundred_files / "one-mib.bin")
    files = [{"relative_path": "data/one.bin", "content_address": address, "media_type": "application/x-raw"}]
    body = json.dumps({"files": files, "labels": {"stage": "walk"}})
    put = curl("-X", "PUT", *JSON, "-d", body, package, status=201).json
    assert put["package_digest"].startswith("blake3:")
    assert put["manifest_digest"].startswith("sha256:")
    again = curl("-X", "PUT", *JSON, "-d", body, package, status=200).json
    assert again["package_digest"] == put["package_digest"]
    other = json.dumps({"files": files, "labels": {"stage": "other"}})
    problem = curl("-X", "PUT", *JSON, "-d", other, package, status=409)
    assert problem.headers["content-type"].startswith("application/problem+json")

    read = curl(package).json
    assert [entry["relative_path"] for entry in read["files"]] == ["data/one.bin"]
    assert read["labels"] == {"stage": "walk"}
    whole = (hundred_files / "one-mib.bin").read_bytes()
    assert curl(f"{package}/files/data/one.bin").body == whole
    part = curl("-H", "Range: bytes=1000-1999", f"{package}/files/data/one.bin", status=206)
    assert part.body == whole[1000:2000]
    assert curl(f"{native}/packages/{repository}@{put['manifest_digest']}").json["labels"] == read["labels"]
    assert curl(f"{package}/manifest.cbor").body
    listed = curl(f"{native}/packages/{repository}").json
    assert [item["version"] for item in listed["items"]] == ["1.0"]
    assert listed["next"] is None

    curl("-X", "DELETE", package, status=202)
    curl(package, status=404)


def test_a_package_grows_file_by_file(
    curl: Curl, shell: Shell, native: str, repository: str, hundred_files: Path, tmp_path: Path
) -> None:
    package = f"{native}/packages/{repository}:2.0"
    for name in material.names(hundred_files):
        shell.run(curl.program, "-fsS", "-T", hundred_files / name, f"{package}/files/{quote(name)}")
    curl(package, status=404)
    metadata = json.dumps({"metadata": {"count": 100}})
    curl("-X", "POST", *JSON, "-d", metadata, f"{package}/finalize", status=201)
    shell.run(curl.program, "-fsS", "-o", "archive.tar", f"{package}/archive.tar")
    with tarfile.open(shell.home / "archive.tar") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert material.digests(tmp_path / "out") == material.digests(hundred_files)


def test_metadata_is_checked_and_found(curl: Curl, native: str, repository: str) -> None:
    variant = f"walk-{uuid.uuid4().hex[:8]}.run.v1"
    schema = json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"board": {"type": "string"}, "score": {"type": "integer", "minimum": 0}},
            "required": ["board"],
        }
    )
    assert curl("-X", "PUT", *JSON, "-d", schema, f"{native}/schemas/{variant}", status=201)
    bad = json.dumps({"variant": variant, "metadata": {"score": -1}, "files": []})
    refused = curl("-X", "PUT", *JSON, "-d", bad, f"{native}/packages/{repository}:bad", status=422)
    assert len(refused.json["errors"]) == 2

    for version, board in (("a", "left"), ("b", "right")):
        metadata = {"board": board, "score": 7}
        body = json.dumps({"variant": variant, "metadata": metadata, "labels": {"v": version}, "files": []})
        curl("-X", "PUT", *JSON, "-d", body, f"{native}/packages/{repository}:{version}", status=201)

    def found(query: str) -> list[str]:
        items = curl(f"{native}/search?{query}").json["items"]
        return [item["version"] for item in items]

    assert found(f"variant={variant}") == ["b", "a"]
    assert found(f"variant={variant}&metadata.board=left") == ["a"]
    assert found(f"variant={variant}&metadata.score=7&label.v=b") == ["b"]
    assert found(f"variant={variant}&metadata.board=none") == []
    assert found(f"variant={variant}&limit=1") == ["b"]


def test_events_are_read_and_followed(curl: Curl, native: str, repository: str) -> None:
    body = json.dumps({"files": [], "labels": {"v": "1"}})
    curl("-X", "PUT", *JSON, "-d", body, f"{native}/packages/{repository}:1", status=201)
    seqs, after = [], 0
    while page := curl(f"{native}/events?after={after}&limit=500").json["items"]:
        seqs += [event["seq"] for event in page]
        after = seqs[-1]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))

    stream = ("-H", "Accept: text/event-stream", "-H", f"Last-Event-ID: {after - 1}")
    said = curl.follow(*stream, f"{native}/events", seconds=2)
    first = next(line for line in said.splitlines() if line.startswith("id:"))
    assert first.removeprefix("id:").strip() == str(after)


def test_the_house_keeping_pages(curl: Curl, server: Server, native: str) -> None:
    assert curl(f"{native}/openapi.json").json["openapi"].startswith("3.1")
    assert "repositories" in json.dumps(curl(f"{native}/usage").json)
    curl(f"{server.url}/healthz")
    curl(f"{server.url}/readyz")
    assert b"# TYPE" in curl(f"{server.url}/metrics").body
