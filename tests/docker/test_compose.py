"""The compose file: known keys, and the promises its comments make."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker" / "compose.yaml"

#: Of the Compose specification (compose-spec, 05-services.md and others), what a file like ours may use.
TOP = {"name", "services", "volumes", "networks", "secrets", "configs"}
SERVICE = {
    *("build", "image", "command", "entrypoint", "environment", "env_file", "ports", "expose", "volumes"),
    *(
        "read_only",
        "tmpfs",
        "cap_drop",
        "cap_add",
        "security_opt",
        "user",
        "stop_grace_period",
        "stop_signal",
    ),
    *("restart", "healthcheck", "depends_on", "networks", "secrets", "configs", "deploy", "init", "labels"),
    *("logging", "ulimits", "profiles", "extends", "hostname", "platform", "working_dir"),
}
BUILD = {"context", "dockerfile", "args", "target", "cache_from", "labels", "network", "platforms", "tags"}


@pytest.fixture
def document() -> Any:
    return yaml.safe_load(COMPOSE.read_text())


def test_only_keys_of_the_specification(document: Any) -> None:
    assert set(document) <= TOP
    for service in document["services"].values():
        assert set(service) <= SERVICE
        assert set(service.get("build", {})) <= BUILD


def test_what_it_names_is_there(document: Any) -> None:
    build = document["services"]["registry"]["build"]
    context = (COMPOSE.parent / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()
    for mount in document["services"]["registry"]["volumes"]:
        assert mount.split(":")[0] in document["volumes"]


def test_the_port_is_published_on_loopback_only(document: Any) -> None:
    service = document["services"]["registry"]
    assert service["environment"]["ARTIFACT_STORE_BEHIND_PROXY"] == "true"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_it_is_given_longer_to_stop_than_it_takes_to_drain(document: Any) -> None:
    from registry.server.settings import Settings

    grace = re.fullmatch(r"(\d+)s", document["services"]["registry"]["stop_grace_period"])
    assert grace
    assert int(grace[1]) >= Settings().server.drain + 5


def test_docker_compose_accepts_it() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not here (optional); the keys were checked above")
    subprocess.run([docker, "compose", "--file", COMPOSE, "config", "--quiet"], check=True)
