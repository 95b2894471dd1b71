"""The installer without the network: what it says and how it ends where a client cannot be had."""

import json
from pathlib import Path

import pytest

from conformance.clients import golang, install, pins


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Go, apt-get or any client."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REQUIRE", raising=False)
    monkeypatch.setattr(golang, "BIN", tmp_path / "bin")
    monkeypatch.setattr(golang, "STAMPS", tmp_path / "stamps")
    return tmp_path


def outcomes(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    """What `--json` printed, by name."""
    return {outcome["name"]: outcome for outcome in json.loads(capsys.readouterr().out)}


def test_what_cannot_be_had_is_said_and_is_no_failure(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install.main(["--json"]) == 0
    seen = outcomes(capsys)
    assert {outcome["state"] for outcome in seen.values()} == {"missing"}
    assert "Go is not on PATH" in str(seen["crane"]["detail"])
    assert "apt-get" in str(seen["skopeo"]["detail"])


def test_it_is_a_failure_where_everything_is_required(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE", "all")
    assert install.main(["--only", "crane"]) == 1
    assert install.main(["--only", "podman"]) == 0


def test_a_client_counts_as_present_at_its_version_only(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crane = next(tool for tool in pins.TOOLS if isinstance(tool, pins.GoTool) and tool.name == "crane")
    for folder in (golang.BIN, golang.STAMPS):
        folder.mkdir()
    (golang.BIN / "crane").write_bytes(b"")
    for version, state in (("v0.0.1", "missing"), (crane.version, "present")):
        (golang.STAMPS / "crane").write_text(f"{crane.package}@{version}")
        assert install.main(["--list", "--json", "--only", "crane"]) == 0
        assert outcomes(capsys)["crane"]["state"] == state
