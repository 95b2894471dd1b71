"""`pack` as a command beside a server, and what `gc` then frees inside packs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.server.oci_pushes import digest_of, push_image
from tests.server.program import run, serving, until

pytestmark = pytest.mark.slow

RULES = """
[care]
lease = 0
delay = 0
[pack]
grace = 0
[[repository]]
match = "hot/*"
pack_after = "never"
"""
WORDS = random.Random(1).choices([b"a word ", b"another ", b"the third "], k=60_000)
KEPT, GONE, HOT = b"".join(WORDS), b"".join(WORDS[::-1]), random.Random(2).randbytes(200_000)


def ask(data: Path, *arguments: str) -> Any:
    name, *rest = arguments
    done = run(name, *rest, "--data", str(data), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_packing_by_rule_and_freeing_what_died_in_packs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "artifact-store.toml").write_text(RULES)
    with serving(tmp_path) as server, server.client() as client:
        push_image(client, "cold/app", "v1", b"{}", KEPT)
        gone = push_image(client, "cold/app", "v2", b"{}", GONE)
        push_image(client, "hot/app", "v1", b"{}", HOT)
        assert ask(data, "pack", "--dry-run") == {"dry_run": True, "blobs": 0, "bytes": 0}
        due = ask(data, "pack", "--dry-run", "--now")
        assert due == {"dry_run": True, "blobs": 2, "bytes": len(KEPT) + len(GONE)}
        done = ask(data, "pack", "--now")
        assert (done["blobs"], done["bytes"], done["faults"]) == (2, due["bytes"], 0)
        assert done["saved_bytes"] == done["bytes"] - done["stored_bytes"] > 200_000
        assert server.metric("packed_bytes_total") == done["bytes"]
        assert [path.stat().st_size for path in (data / "content").rglob("*") if path.is_file()] == [len(HOT)]
        assert run("pack", "--data", str(data)).stdout == "packed: 0 blobs, 0 B in 0 B\n"
        assert client.delete(f"/v2/cold/app/manifests/{digest_of(gone)}").status_code == 202
        freed = ask(data, "gc")["done"]
        assert freed["rewritten_bytes"] > freed["freed_bytes"] / 2 > 10_000
        assert server.metric("rewritten_bytes_total") == freed["rewritten_bytes"]
        for repository, content in (("cold", KEPT), ("hot", HOT)):
            assert client.get(f"/v2/{repository}/app/blobs/{digest_of(content)}").content == content
        assert client.get(f"/v2/cold/app/blobs/{digest_of(GONE)}").status_code == 404
        assert ask(data, "fsck")["ok"]
        assert server.stop() == 0


def test_a_server_packs_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path, "--pack-after", "0", "--pack-every", "1") as server, server.client() as client:
        push_image(client, "cold/app", "v1", b"{}", KEPT)
        until(lambda: server.metric("packed_blobs_total") == 1, 40)
        assert client.get(f"/v2/cold/app/blobs/{digest_of(KEPT)}").content == KEPT
        assert server.stop() == 0
