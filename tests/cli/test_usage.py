"""Exit codes, JSON, and sentences for what goes wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from registry.contract.names import Repository
from registry.server.cli import main
from tests.cli.conftest import Runner


@pytest.mark.parametrize(
    "arguments",
    [
        ("push",),
        ("push", "repo:v1"),
        ("push", "UPPER:v1", "x"),
        ("push", "repo@sha256:" + "0" * 64, "x"),
        ("push", "repo:v1", "x", "--label", "no-equals-sign"),
        ("push", "repo:v1", "x", "--subject", "sha256:short"),
        ("push", "repo:v1", "x", "--media-type", "text/plain; charset=utf-8"),
        ("push", "repo:v1", "x", "--variant", "v", "--oci"),
        ("push", "repo:v1", "x", "--metadata", "not-there.json"),
        ("push", "repo:v1", "x", "--plain-http", "--insecure"),
        ("push", "repo:v1", "x", "--jobs", "0"),
        ("pull", "host:5000/"),
        ("pull", "repo:not/a/tag"),
        ("ls", "host:5000/repo:v1"),
        ("inspect", "repo@md5:00"),
        ("events", "host:5000/repo"),
        ("events", "--after", "-1"),
        ("ls", "http://127.0.0.1:5000"),
        ("pull", "https://registry.example.com/repo:v1"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "x").write_text("x")
    code = main([str(tmp_path / "x") if argument == "x" else argument for argument in arguments])
    assert code == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize("command", ["pull", "inspect", "ls"])
async def test_what_is_not_there_fails_with_a_sentence_and_json(
    cli: Runner, server: str, repository: Repository, tmp_path: Path, command: str
) -> None:
    more = ("-o", tmp_path / "out") if command == "pull" else ()
    ended = await cli(command, f"{server}/{repository}", "--json", *more)
    assert ended.code == 1
    assert "404" in ended.document["error"]
    assert str(repository) in ended.err


async def test_nobody_there_fails_at_once(cli: Runner) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        ended = await cli("ls", address)
    assert ended.code == 2
    assert "cannot connect: Connection refused; is a registry running there?" in ended.err


async def test_a_file_that_is_not_there_fails_before_anything_is_sent(cli: Runner, tmp_path: Path) -> None:
    ended = await cli("push", "127.0.0.1:1/repo:v1", tmp_path / "absent")
    assert ended.code == 2
    assert "absent" in ended.err


async def test_a_registry_that_speaks_no_tls_is_no_success(cli: Runner, server: str) -> None:
    ended = await cli("ls", server, "--insecure")
    assert ended.code == 2
    assert "--plain-http" in ended.err


async def test_ls_lists_repositories_and_versions(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    digests = {}
    for version in ("v1", "v2"):
        pushed = await cli(
            "push", f"{server}/{repository}:{version}", folder / "a.txt", "--json", "--label", version + "=x"
        )
        digests[version] = pushed.document["manifest_digest"]
    assert str(repository) in (await cli("ls", server)).out.splitlines()
    assert str(repository) in (await cli("ls", server, "--json")).document["repositories"]
    assert (await cli("ls", f"{server}/{repository}")).out.splitlines() == ["v1", "v2"]
    long = await cli("ls", f"{server}/{repository}", "--long", "--json")
    assert long.document["versions"] == [{"version": key, "digest": digests[key]} for key in ("v1", "v2")]


async def test_inspect_shows_files_and_labels_and_obeys_no_terminal_code(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    await cli("push", f"{server}/{repository}:v1", folder, "--label", "note=\x1b[31mred")
    shown = await cli("inspect", f"{server}/{repository}:v1")
    assert shown.code == 0
    assert "sub/large.bin" in shown.out
    assert "note: \\x1b[31mred" in shown.out
    assert "\x1b" not in shown.out
    found = (await cli("inspect", f"{server}/{repository}:v1", "--json")).document
    assert found["labels"] == {"note": "\x1b[31mred"}
    assert [(file["relative_path"], file["size"]) for file in found["files"]] == [
        ("a.txt", 6), ("empty", 0), ("sub/large.bin", 3 * 1024 * 1024)
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["push", "pull", "ls", "inspect", "events", "followers"])
def test_help_has_examples_and_loads_no_http(command: str) -> None:
    script = (
        "import json, sys; from registry.server.cli import build_parser; "
        f"text = build_parser({command!r})._subparsers._group_actions[0].choices[{command!r}].format_help(); "
        "print(json.dumps([text, 'aiohttp' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    text, heavy = json.loads(done.stdout)
    assert f"examples:\n  artifact-store {command}" in text
    assert not heavy
