"""The compose files: read by an implementation of the specification, and held to what their comments say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from conformance.clients.tools import need
from registry.server.settings import PREFIX, Settings, load
from registry.server.settings_parsing import SettingsError

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "docker" / "compose.yaml"
REPLICAS = ROOT / "docker" / "replicas" / "compose.yaml"

#: What the images say of a server's settings, see the Dockerfile.
IMAGE = {"ARTIFACT_STORE_DATA": "/data", "ARTIFACT_STORE_LISTEN": "0.0.0.0:5000"}


@pytest.fixture(params=[EMBEDDED, REPLICAS], ids=["embedded", "replicas"])
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of secrets that the file's first comment has one make."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    for _ in range(2):  # the second time changes nothing
        subprocess.run(["sh", REPLICAS.parent / "make-secrets", folder], check=True)
    return folder


def read(path: Path) -> dict[str, Any]:
    """The file with its YAML anchors resolved."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def ours(document: Mapping[str, Any]) -> dict[str, Any]:
    """The services that run our image."""
    return {name: each for name, each in document["services"].items() if "build" in each}


def settings_of(service: Mapping[str, Any], secrets: Path) -> Settings:
    """What the program makes of a service's environment."""
    given = {
        name: value.replace("/run/secrets/", f"{secrets}/") for name, value in service["environment"].items()
    }
    return load({}, {**IMAGE, **given}).settings


def test_the_file_is_what_the_specification_says(path: Path) -> None:
    document = read(path)
    resolved = {name: part for name, part in document.items() if not name.startswith("x-")}
    PyCompose.from_yaml(yaml.safe_dump(resolved)).validate()


def test_a_misspelt_key_would_be_found() -> None:
    document = read(EMBEDDED)
    document["services"]["registry"]["restrat"] = "always"
    with pytest.raises(ValueError, match="restrat"):
        PyCompose.from_yaml(yaml.safe_dump(document)).validate()


def test_docker_compose_accepts_it(path: Path) -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not here (optional); a library has read the file above")
    subprocess.run([docker, "compose", "--file", path, "config", "--quiet"], check=True)


def test_what_it_names_is_there(path: Path) -> None:
    document = read(path)
    for service in ours(document).values():
        context = (path.parent / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (context / service["build"]["dockerfile"]).is_file()
    for service in document["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in document["volumes"] or (path.parent / source).is_file()
        assert set(service.get("secrets", [])) <= set(document.get("secrets", {}))
        assert set(service.get("depends_on", {})) <= set(document["services"])


def test_our_program_takes_the_settings(path: Path, secrets: Path) -> None:
    for service in ours(read(path)).values():
        assert settings_of(service, secrets).server.behind_proxy


def test_a_misspelt_setting_would_be_found(secrets: Path) -> None:
    service = ours(read(REPLICAS))["registry"]
    wrong = {**service["environment"], f"{PREFIX}DATABSE_URL": "postgresql://host/name"}
    with pytest.raises(SettingsError, match="did you mean ARTIFACT_STORE_DATABASE_URL"):
        settings_of({"environment": wrong}, secrets)


def test_only_loopback_is_published(path: Path) -> None:
    ports = [port for service in read(path)["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:5000:5000"]


def test_our_containers_can_do_little(path: Path) -> None:
    for service in ours(read(path)).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_it_is_given_longer_to_stop_than_it_takes_to_drain(path: Path, secrets: Path) -> None:
    service = ours(read(path))["registry"]
    grace = re.fullmatch(r"(\d+)s", service["stop_grace_period"])
    assert grace
    server = settings_of(service, secrets).server
    assert int(grace[1]) >= server.drain_delay + server.drain + 5


def test_replicas_share_everything_and_keep_nothing(secrets: Path) -> None:
    service = ours(read(REPLICAS))["registry"]
    settings = settings_of(service, secrets)
    assert settings.database.url is not None
    assert settings.storage.url is not None
    assert settings.events.url is not None
    assert "volumes" not in service
    assert service["deploy"]["replicas"] == 3


def test_a_secret_is_made_once_and_by_chance(secrets: Path, tmp_path: Path) -> None:
    subprocess.run(["sh", REPLICAS.parent / "make-secrets", tmp_path], check=True)
    for name in ("database-password", "s3-access-key", "s3-secret-key"):
        first, other = (secrets / name).read_text(), (tmp_path / name).read_text()
        assert re.fullmatch(r"[0-9a-f]{48}", first)
        assert first != other
    assert (secrets / "database-password").read_text() in (secrets / "database-url").read_text()
    assert yaml.safe_load((secrets / "s3-config").read_text())["identities"][0]["credentials"] == [
        {
            "accessKey": (secrets / "s3-access-key").read_text(),
            "secretKey": (secrets / "s3-secret-key").read_text(),
        }
    ]
    assert (secrets.stat().st_mode & 0o777) == 0o700


def test_nobody_starts_before_what_it_needs_works() -> None:
    services = read(REPLICAS)["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"]
            else:
                assert services[name]["restart"] == "on-failure"


def test_nothing_may_take_all_of_the_machine() -> None:
    for name, service in read(REPLICAS)["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name


def test_haproxy_takes_its_configuration() -> None:
    program = need("haproxy")
    done = subprocess.run(
        [program, "-c", "-f", REPLICAS.parent / "haproxy.cfg"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_proxy_looks_often_enough_for_the_delay(secrets: Path) -> None:
    text = (REPLICAS.parent / "haproxy.cfg").read_text()
    found = re.search(r"default-server check inter (\d+)s fastinter \d+ms fall (\d+)", text)
    assert found
    delay = settings_of(ours(read(REPLICAS))["registry"], secrets).server.drain_delay
    assert delay > int(found[1]) * int(found[2])
