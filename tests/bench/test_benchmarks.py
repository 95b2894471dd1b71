"""The benchmarks measure what they say, shown on tiny inputs; nothing here is timed."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import care, cost, dedup, inputs, report, samples
from tests.bench.readers import summarise
from tests.bench.shape import Shape

PROGRAMS = ("bulk", "care", "cost", "curves", "dedup", "throughput")


def test_inserted_bytes_move_all_that_follows(tmp_path: Path) -> None:
    first, second = (path.read_bytes() for path in inputs.inserts(tmp_path, size=10_000, count=5))
    assert len(second) == len(first) + 5
    assert second != first + second[-5:]
    assert sum(a == b for a, b in zip(first, second, strict=False)) < len(first)


def test_tensors_differ_in_as_many_as_was_asked(tmp_path: Path) -> None:
    first, second = inputs.tensors(tmp_path, blocks=1, part=0.2)
    assert first.stat().st_size == second.stat().st_size
    changed = inputs.changed_tensor_bytes(first, second)
    assert 0 < changed < first.stat().st_size / 2


async def test_only_what_is_new_is_stored_again(tmp_path: Path) -> None:
    versions = inputs.inserts(tmp_path, size=4 << 20, count=2)
    everything, objects = await dedup.store_versions(tmp_path / "store", versions)
    assert 4 << 20 <= objects.stored[0] < everything.stored[0]
    assert objects.increment < 2 << 20
    whole = dedup.whole(versions)
    assert whole.increment == versions[1].stat().st_size


@pytest.mark.slow
def test_stores_are_compared(tmp_path: Path) -> None:
    if shutil.which("restic") is None:
        pytest.skip("restic is not installed (optional)")
    rows = dedup.compare("inserts", tmp_path, inputs.inserts(tmp_path, size=4 << 20, count=2))
    assert [row["store"] for row in rows] == [
        "whole blobs",
        "restic",
        "artifact-store",
        "artifact-store, objects",
        "floor",
    ]
    assert rows[1]["of restic"] == rows[1]["increment of restic"] == 1
    assert rows[-1]["total MB"] < rows[2]["total MB"] < rows[0]["total MB"]


def test_every_way_is_measured_beside_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "KINDS", {"random": samples.noise})
    tables = cost.run(tmp_path, 1 << 20, rounds=1, tiny_puts=40)
    ways = [row["CPU s/GiB"] for row in tables["cost"]]
    assert ways[:6] == ["limit", "commit", "read loose", "sendfile", "pack", "read packed"]
    assert ways[6:] == [f"{way}, sealed" for way in ("commit", "read loose", "pack", "read packed")]
    assert tables["cost"][0]["random: of limit"] == 1
    assert [row["tiny puts, callers"] for row in tables["tiny"]] == [1, 1, 16, 16, 64, 64]
    assert list(tmp_path.iterdir()) == []


def test_samples_repeat_no_file() -> None:
    text = samples.text(50_000)
    assert len(text) == 50_000
    assert samples.machine_code(4)[:4] == b"\x7fELF"


def test_latencies_are_in_milliseconds() -> None:
    found = summarise([0.001] * 98 + [0.5, 1.0])
    assert (found.requests, found.p50, found.p99, found.longest) == (100, 1.0, 1000.0, 1000.0)
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_figures_are_shown_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.json"
    report.show(argparse.Namespace(json=file), "x", {"t": [{"a": 1500, "b": 0.126}], "none": []})
    assert "| a | b |\n| --- | --- |\n| 1,500 | 0.13 |" in capsys.readouterr().out
    assert json.loads(file.read_text())["tables"]["t"] == [{"a": 1500, "b": 0.126}]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_help_teaches(name: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{name}", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert f"python -m tests.bench.{name} FOLDER" in outcome.stdout


@pytest.mark.slow
def test_care_goes_through_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care, "_IDLE_SECONDS", 0.2)
    parser = argparse.ArgumentParser()
    args = argparse.Namespace(
        folder=tmp_path / "data", blobs=40, manifests=4, tags=0, referrers=0, garbage=10, size=64,
        stages=",".join(care.STAGES), beside=True, scrub_bytes="1 GiB", json=tmp_path / "care.json",
    )  # fmt: skip
    care.run(parser, args)
    rows = json.loads(args.json.read_text())["tables"]["care"]
    assert [row["stage"] for row in rows] == [*list(care.STAGES[:-2]), "fsck", "scrub"]
    assert all(row["reads requests"] for row in rows[1:])
    assert "4 objects" in rows[3]["said"]
    with pytest.raises(SystemExit):
        care.run(parser, argparse.Namespace(**{**vars(args), "stages": "sleep"}))


def test_the_sizes_of_the_shape_decide_what_is_read() -> None:
    bench = care.Bench(Path("unused"), Shape(blobs=4, manifests=2), gc_beside=False, scrub_bytes=None)
    assert bench._target().startswith("/v2/bulk/load/manifests/sha256:")
