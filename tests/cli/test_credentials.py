"""docker's credentials file and its helpers open what asks for them, and go nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from registry.contract.names import Repository
from tests.cli.conftest import Runner, content
from tests.cli.gate import PASSWORD, REFRESH, USER, Gate

_AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def _write(cli: Runner, config: dict[str, Any]) -> None:
    cli.docker.mkdir(exist_ok=True)
    (cli.docker / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_push_and_pull_with_the_credentials_file(
    cli: Runner, server: str, repository: Repository, folder: Path, tmp_path: Path, scheme: str
) -> None:
    async with Gate(server, scheme) as gate:
        _write(cli, {"auths": {gate.address: {"auth": _AUTH}}})
        pushed = await cli("push", f"{gate.address}/{repository}:v1", folder)
        assert (pushed.code, pushed.err) == (0, "")
        assert (await cli("pull", f"{gate.address}/{repository}:v1", "-o", tmp_path / "out")).code == 0
        # Blobs came from another host, by redirect, which was shown no credentials.
        assert gate.seen_elsewhere
        assert set(gate.seen_elsewhere) == {None}
    assert content(tmp_path / "out") == content(folder)
    if scheme == "Bearer":
        assert set(gate.scopes) == {f"repository:{repository}:pull", f"repository:{repository}:pull,push"}


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
async def test_a_credential_helper_is_asked(
    cli: Runner, server: str, repository: Repository, folder: Path, key: str
) -> None:
    helper = cli.home / "docker-credential-test"
    answer = json.dumps({"ServerURL": "x", "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread server\n[ \"$1\" = get ] && echo '{answer}'\n")
    helper.chmod(0o755)
    async with Gate(server, "Basic") as gate:
        _write(cli, {key: "test" if key == "credsStore" else {gate.address: "test"}})
        assert (await cli("push", f"{gate.address}/{repository}:v1", folder / "a.txt")).code == 0


async def test_an_identity_token_is_changed_for_an_access_token(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    async with Gate(server, "Bearer") as gate:
        _write(cli, {"auths": {f"https://{gate.address}/v1/": {"identitytoken": REFRESH}}})
        assert (await cli("push", f"{gate.address}/{repository}:v1", folder / "a.txt")).code == 0
        assert set(gate.forms) == {"refresh_token"}


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("known", [False, True])
async def test_without_the_right_credentials_the_command_says_what_to_do(
    cli: Runner, server: str, repository: Repository, folder: Path, scheme: str, known: bool
) -> None:
    async with Gate(server, scheme) as gate:
        wrong = base64.b64encode(b"robot:sesame").decode()
        _write(cli, {"auths": {gate.address if known else "elsewhere.example": {"auth": wrong}}})
        pushed = await cli("push", f"{gate.address}/{repository}:v1", folder / "a.txt")
        assert pushed.code == 1
        assert f"docker login {gate.address}" in pushed.err
        assert "sesame" not in pushed.err + pushed.out


async def test_a_helper_that_cannot_be_run_is_named(
    cli: Runner, server: str, repository: Repository, folder: Path
) -> None:
    async with Gate(server, "Basic") as gate:
        _write(cli, {"credHelpers": {gate.address: "not-there"}})
        pushed = await cli("push", f"{gate.address}/{repository}:v1", folder / "a.txt")
        assert pushed.code == 2
        assert "docker-credential-not-there" in pushed.err
