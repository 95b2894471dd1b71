"""The command line as a whole: help, exit codes, JSON."""

import json
from pathlib import Path

import pytest

from registry.server.cli import COMMANDS, build_parser, load, main
from tests.server.program import run


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert f"artifact-store {name}" in shown
    assert "--json" in shown
    assert "exit codes" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_fits_its_line(name: str) -> None:
    summary = load(name).HELP.strip().splitlines()[0]
    assert 10 <= len(summary) <= 105


def test_the_list_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n    {name} " in shown or f"\n    {name}\n" in shown for name in COMMANDS)


def test_every_module_beside_the_shared_ones_is_a_command() -> None:
    folder = Path(load("serve").__file__ or "").parent  # type: ignore[attr-defined]
    offered = {
        path.stem.replace("_", "-") for path in folder.glob("*.py") if "\nHELP" in path.read_text("utf-8")
    }
    assert offered == set(COMMANDS)


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["no-such-command"]) == 2
    assert main(["settings", "--no-such-option"]) == 2
    assert main(["settings", "--limits-idle", "soon"]) == 2
    assert "soon" in capsys.readouterr().err


def test_options_are_never_guessed_from_their_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--limits-idl", "1"]) == 2
    assert "unrecognized" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("artifact-store ")


def test_settings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--data", str(tmp_path), "--workers", "3", "--json"]) == 0
    found = {entry["key"]: entry for entry in json.loads(capsys.readouterr().out)["settings"]}
    assert (found["workers"]["value"], found["workers"]["source"]) == (3, "flag")
    assert found["limits.manifest_bytes"]["value"] == 16 * 2**20
    assert found["limits.manifest_bytes"]["source"] == "default"


def test_one_command_loads_no_other() -> None:
    parser = build_parser("settings")
    assert parser.parse_args(["settings"]).command == "settings"


def test_an_error_is_told_on_both_channels_with_json() -> None:
    done = run("settings", "--workers", "x", "--json")
    assert done.returncode == 2
    assert "whole number" in json.loads(done.stdout)["error"]
    assert done.stderr.startswith("artifact-store settings: ")


@pytest.mark.parametrize("name", ["serve", "gc", "recover"])
def test_the_line_of_usage_is_short_where_settings_are_many(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"usage: artifact-store {name} ")
    assert usage.endswith("[SETTINGS]")
    assert len(usage.splitlines()) <= 3
    assert "--storage URL" in rest
