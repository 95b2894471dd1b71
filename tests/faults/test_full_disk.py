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


def packed_files(disk: Path) -> list[Path]:
    return sorted((disk / "data" / "packs").rglob("*.pack"))


def test_packing_and_collecting_on_a_full_disk(disk: Path) -> None:
    """The commands say that it is full, leave no half pack, and do their work when there is room again."""
    ballast = disk / "ballast"
    blobs = [os.urandom(2 * MIB) for _ in range(3)]
    small = [os.urandom(30_000) for _ in range(10)]
    data = str(disk / "data")
    with serving(disk) as server:
        for blob in (*blobs, *small):
            assert oci(server, blob).status == 201
        ballast.write_bytes(bytes(max(0, free(disk) - MIB)))
        room, before = free(disk), packed_files(disk)
        done = run("pack", "--data", data, "--now")
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done
        assert "full" in done.stderr
        assert packed_files(disk) == before, "half a pack is left"
        assert free(disk) > room - MIB // 2
        for blob in (*blobs, *small):
            assert ask(server, "GET", f"/v2/full/blobs/{sha256(blob)}").body == blob
        collected = run("gc", "--data", data, "--care-lease", "0", "--care-delay", "0", "--pack-grace", "0")
        assert collected.returncode in (0, 2)  # what it deletes is little to write, which may just fit
        assert "Traceback" not in collected.stderr
        ballast.unlink()
        kept = os.urandom(2 * MIB)
        assert oci(server, kept).status == 201
        assert run("pack", "--data", data, "--now").returncode == 0
        assert ask(server, "GET", f"/v2/full/blobs/{sha256(kept)}").body == kept
        assert [path for path in (disk / "data" / "content").rglob("*") if path.is_file()] == []
        assert oci(server, os.urandom(2 * MIB)).status == 201
        assert server.stop() == 0
    checked = run("fsck", "--data", data)
    assert checked.returncode == 0, checked.stdout
