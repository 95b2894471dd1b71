"""The disk fills up: a clear answer on both faces, nothing left behind, and all is well with room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.history import OCI_IMAGE, sha256
from tests.faults.wire import Answer, ask
from tests.server.program import Running, run, serving

pytestmark = pytest.mark.slow

MIB = 2**20

#: Small, so that it is full soon; large enough for a database and its journal.
DISK_MIB = 24


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs (optional)")
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={DISK_MIB}m"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"this machine mounts no tmpfs, not even for root: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def oci(server: Running, data: bytes) -> Answer:
    return ask(server, "POST", f"/v2/full/blobs/uploads/?digest={sha256(data)}", data)


def native(server: Running, data: bytes) -> Answer:
    place = ask(server, "POST", "/api/v1/uploads").headers["location"]
    answer = ask(server, "PATCH", place, data, Upload_Offset="0")
    if answer.status != 204:
        assert ask(server, "DELETE", place).status == 204
    return answer


def free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def test_a_blob_that_does_not_fit_is_507_in_both_forms_and_leaves_nothing(disk: Path) -> None:
    small, large = os.urandom(MIB), os.urandom(DISK_MIB * MIB)
    with serving(disk) as server:
        assert oci(server, small).status == 201
        room = free(disk)
        answer = oci(server, large)
        assert answer.status == 507, answer
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert "full" in answer.json()["errors"][0]["message"]
        answer = native(server, large)
        assert answer.status == 507, answer
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["kind"] == "storage_full"
        assert ask(server, "PUT", "/api/v1/packages/full:v1/files/a", large).status == 507
        assert free(disk) > room - MIB, "refused bytes are still there"
        assert ask(server, "GET", f"/v2/full/blobs/{sha256(small)}").body == small
        other = os.urandom(MIB)
        assert oci(server, other).status == 201
        assert server.stop() == 0
    assert run("fsck", "--data", str(disk / "data")).returncode == 0


def test_a_disk_without_a_byte_still_reads_and_recovers(disk: Path) -> None:
    small = os.urandom(100_000)
    ballast = disk / "ballast"
    with serving(disk) as server:
        assert oci(server, small).status == 201
        with ballast.open("wb") as sink:
            try:
                while True:
                    os.write(sink.fileno(), bytes(65536))
            except OSError:
                pass
        body = (
            b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"a/b","digest":"%s","size":100000},'
            b'"layers":[]}' % (OCI_IMAGE.encode(), sha256(small).encode())
        )
        statuses = {
            "blob": oci(server, os.urandom(100_000)).status,
            "session": ask(server, "POST", "/v2/full/blobs/uploads/").status,
            "manifest": ask(server, "PUT", "/v2/full/manifests/v1", body, Content_Type=OCI_IMAGE).status,
            "upload": ask(server, "POST", "/api/v1/uploads").status,
            "draft": ask(server, "PUT", "/api/v1/packages/full:v1/files/a", os.urandom(100_000)).status,
        }
        # A few rows may still fit into pages that the database has; whatever does not is told as it is.
        assert set(statuses.values()) <= {201, 202, 507}, statuses
        assert statuses["blob"] == 507
        assert ask(server, "GET", f"/v2/full/blobs/{sha256(small)}").body == small
        assert ask(server, "GET", "/v2/full/tags/list").status in (200, 404)
        ballast.unlink()
        assert oci(server, os.urandom(100_000)).status == 201
        put = ask(server, "PUT", "/v2/full/manifests/v1", body, Content_Type=OCI_IMAGE)
        assert put.status == 201, put
        assert ask(server, "GET", "/v2/full/manifests/v1").body == body
        assert server.stop() == 0
    assert run("fsck", "--data", str(disk / "data")).returncode == 0
