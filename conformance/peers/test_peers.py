"""The benchmark's own arithmetic, and a little of its work by two registries."""

from pathlib import Path

import pytest

from conformance.clients.tools import find, need
from conformance.peers import plot, results
from conformance.peers.__main__ import main
from conformance.peers.results import Results

ABOUT = {"scale": {"seconds": 1}}


def kept(folder: Path) -> Results:
    found = Results.load(folder / "results.json", ABOUT)
    for number, (ours, other, third) in enumerate(
        [(300.0, 100.0, 150.0), (320.0, 90.0, 160.0), (310.0, 95.0, 155.0)]
    ):
        for name, value in (("ours", ours), ("other", other), ("third", third)):
            found.add("reads", name, number, {"GET": {"per_s": value, "cpu_us": 1000 / value}})
    return found


def test_ratios_are_of_medians_to_the_best_peer_whichever_way_is_better(tmp_path: Path) -> None:
    rate, cpu = results.lines(kept(tmp_path), "ours", ["other", "third"])
    assert rate.ratio == pytest.approx(310 / 155)
    assert cpu.ratio == pytest.approx(155 / 310)


def test_the_table_has_medians_with_their_spread(tmp_path: Path) -> None:
    table = results.markdown(kept(tmp_path), "ours", ["other", "third"])
    assert "| GET | per_s | 310 (300 to 320) | 95 (90 to 100) | 155 (150 to 160) | **2** |" in table


def test_a_run_goes_on_where_it_was_at_the_same_scale_alone(tmp_path: Path) -> None:
    kept(tmp_path)
    again = Results.load(tmp_path / "results.json", ABOUT)
    assert again.has("reads", "ours", 2)
    assert not again.has("reads", "ours", 3)
    assert not Results.load(tmp_path / "results.json", {"scale": {"seconds": 5}}).done


def test_the_picture_has_a_bar_a_ratio_and_right_is_better(tmp_path: Path) -> None:
    drawn = plot.svg(results.lines(kept(tmp_path), "ours", ["other", "third"]), "<us>")
    assert drawn.count("#2e7d32") == 2
    assert "&lt;us&gt;" in drawn


def test_where_a_program_for_the_load_is_missing_it_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--into", str(tmp_path)]) == 2
    assert "curl" in capsys.readouterr().err


@pytest.mark.slow
def test_a_little_of_the_work_is_done_by_this_registry_and_by_a_peer(tmp_path: Path) -> None:
    for name in ("wrk", "load-driver", "oras-driver", "curl"):
        need(name)
    peers = ["artifact-store"] + (["distribution"] if find("registry") else [])
    for work in ("artifacts", "big"):
        assert main(["--smoke", "--only", work, "--peers", *peers, "--into", str(tmp_path)]) == 0
    rows = {
        line.split("|")[1].strip()
        for line in (tmp_path / "report.md").read_text().splitlines()
        if "|" in line
    }
    assert {"small artifacts as oras pushes them, 8 at once", "32 MiB pull, oras-go"} <= rows
    assert (tmp_path / "ratios.svg").stat().st_size > 1000
