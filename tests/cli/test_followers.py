"""Followers from the command line: each action, at a real server with a real endpoint."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from registry.server.cli import main
from tests.cli.conftest import Result, Runner
from tests.server.program import run, serving
from tests.sinks.receiver import SECRET, answer, receiving, take


async def test_an_operator_sees_and_mends_a_webhook(cli: Runner, tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.behaviour = answer(500)
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        (data / "artifact-store.toml").write_text(
            f"[[webhook]]\nname = 'ci'\nurl = '{receiver.url}'\nsecret = '{SECRET}'\nstart = 'beginning'\n"
        )
        with serving(tmp_path) as server:
            host = server.url.partition("//")[2]

            async def followers(*arguments: object) -> Result:
                return await cli("followers", *arguments, "--registry", host)

            note = tmp_path / "note.txt"
            note.write_text("hello")
            assert (await cli("push", f"{host}/team/app:v1", note)).code == 0
            await until_state(followers, "retrying")
            listed = (await followers("list")).out
            assert listed.startswith("ci  retrying; to http://127.0.0.1:")
            assert "the endpoint answered 500" in listed
            assert "x=1" not in listed, "queries of webhooks can be secrets"
            assert (await followers("skip", "ci")).code == 0
            letters = (await followers("letters", "ci", "--json")).document["items"]
            assert [letter["reason"] for letter in letters] == ["skipped: the endpoint answered 500"]
            assert "skipped" in (await followers("letters", "ci")).out
            receiver.behaviour = take
            assert (await followers("redeliver", "ci", letters[0]["seq"])).code == 0
            assert (await followers("resume", "ci")).code == 0
            await until_state(followers, "delivering")
            assert letters[0]["seq"] in receiver.seqs()
            assert "stopped" in (await followers("stop", "ci")).out
            assert (await followers("seek", "ci", 0, "--json")).document["cursor"] == 0
            refused = await followers("forget", "ci")
            assert (refused.code, "take it out of the settings first" in refused.err) == (1, True)
            assert (await followers("skip", "nobody")).code == 1
        (data / "artifact-store.toml").unlink()
        with serving(tmp_path) as server:
            host = server.url.partition("//")[2]
            assert "not set any more" in (await cli("followers", "list", "--registry", host)).out
            assert (await cli("followers", "forget", "ci", "--registry", host)).code == 0
            assert "no events are delivered" in (await cli("followers", "list", "--registry", host)).out


async def until_state(followers: object, state: str) -> None:
    """Until the follower has come to that, and is even where it delivers."""
    assert callable(followers)
    deadline = time.monotonic() + 30
    while True:
        (found,) = (await followers("list", "--json")).document["items"]
        if found["state"] == state and (state != "delivering" or not found["lag_events"]):
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("mend",),
        ("letters",),
        ("seek", "ci"),
        ("seek", "ci", "soon"),
        ("redeliver", "ci", "x"),
        ("list", "--registry", "host/repository"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(["followers", *arguments]) == 2
    assert capsys.readouterr().err


def test_json_may_stand_before_or_after_the_action() -> None:
    for arguments in (("--json", "list"), ("list", "--json")):
        done = run("followers", *arguments, "--registry", "127.0.0.1:9")
        assert done.returncode == 2
        assert "error" in json.loads(done.stdout)
