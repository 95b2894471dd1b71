"""The Helm chart: linted, rendered, held to Kubernetes' schemas, and its settings read by our own program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from registry.server.routes import OPERATIONS
from registry.server.settings_parsing import SettingsError
from tests.docker.charts import CASES, CHART, Document, helm, one, pods, render, settings_of

#: The oldest that the chart names, the one it is rendered for, and the newest whose schemas are here.
VERSIONS = ("1.25", "1.31", "1.37")

#: Of the Prometheus operator, which Kubernetes has no schemas for.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def documents(case: str) -> list[Document]:
    return render(case)


def test_helm_lints_it(case: str) -> None:
    done = helm("lint", "--strict", CHART, "-f", CHART / "ci" / f"{case}.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_what_it_renders(documents: list[Document], version: str) -> None:
    kinds = {document["kind"] for document in documents}
    assert kinds >= {"ConfigMap", "Service", "NetworkPolicy"}
    for document in documents:
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_would_be_found() -> None:
    document = one(render("replicas"), "Deployment")
    document["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_the_program_takes_the_settings(documents: list[Document], tmp_path: Path) -> None:
    for pod in pods(documents):
        settings = settings_of(documents, pod, tmp_path)
        if pod["containers"][0]["args"] == ["serve"]:
            assert settings.server.behind_proxy
        else:
            assert settings.database.url is not None


def test_a_misspelt_setting_would_be_found(tmp_path: Path) -> None:
    documents = render("replicas", settings="[care]\ncolect = '1 h'")
    with pytest.raises(SettingsError, match="did you mean collect"):
        settings_of(documents, pods(documents)[0], tmp_path)


def test_a_misspelt_key_of_the_secret_would_be_found(tmp_path: Path) -> None:
    documents = render(
        "everything", **{"secret.values": {"database-url": "postgresql://h/n", "storage-key": "x"}}
    )
    server = next(pod for pod in pods(documents) if pod["containers"][0]["args"] == ["serve"])
    with pytest.raises(SettingsError, match="ARTIFACT_STORE_STORAGE_KEY_FILE"):
        settings_of(documents, server, tmp_path)


@pytest.mark.parametrize(
    ("case", "values", "said"),
    [
        ("replicas", {"behindProxy": False}, "authenticates and encrypts"),
        ("replicas", {"storage": ""}, "replicas keep content in a bucket"),
        ("replicas", {"secret.name": ""}, "replicas share a PostgreSQL database"),
        ("replicas", {"storage": "https://bucket"}, "does not match pattern"),
        ("replicas", {"replica": 2}, "replica"),
        ("replicas", {"form": "cluster"}, "form"),
    ],
)
def test_values_that_cannot_work_are_refused(case: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render(case, **values)


def test_containers_can_do_little(documents: list[Document]) -> None:
    for pod in pods(documents):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        # A service called artifact-store would otherwise bring variables that look like settings.
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_probes_ask_what_the_server_answers(documents: list[Document]) -> None:
    container = pods(documents)[0]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in OPERATIONS
    # Away from its database a server is not ready, and is left alive.
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_it_is_given_longer_to_stop_than_it_takes_to_drain(documents: list[Document], tmp_path: Path) -> None:
    pod = pods(documents)[0]
    server = settings_of(documents, pod, tmp_path).server
    assert pod["terminationGracePeriodSeconds"] >= server.drain_delay + server.drain + 5
    probe = pod["containers"][0]["readinessProbe"]
    assert server.drain_delay > probe["periodSeconds"] * probe["failureThreshold"]


def test_replicas_need_no_volume_and_the_embedded_form_has_one() -> None:
    replicas = pods(render("replicas"))[0]
    assert {volume["name"] for volume in replicas["volumes"]} == {"settings", "tmp", "secrets"}
    embedded = one(render("embedded"), "StatefulSet")
    assert embedded["spec"]["replicas"] == 1
    (claim,) = embedded["spec"]["volumeClaimTemplates"]
    mounts = embedded["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert (claim["metadata"]["name"], "/data") in {(each["name"], each["mountPath"]) for each in mounts}


def test_an_upgrade_migrates_first_and_keeps_all_replicas() -> None:
    documents = render("replicas")
    job = one(documents, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    assert one(documents, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_health_and_metrics_stay_inside_the_cluster() -> None:
    (rule,) = one(render("everything"), "Ingress")["spec"]["rules"]
    assert {path["path"] for path in rule["http"]["paths"]} == {"/v2", "/api/v1"}


def test_what_selects_pods_selects_the_servers_alone(case: str, documents: list[Document]) -> None:
    server = next(each for each in documents if each["kind"] in ("Deployment", "StatefulSet"))
    labels = server["spec"]["template"]["metadata"]["labels"]
    selectors = [one(documents, "Service")["spec"]["selector"]]
    selectors.append(one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    selectors.append(server["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= labels.items()
        for document in documents:
            if document["kind"] == "Job":
                assert not selector.items() <= document["spec"]["template"]["metadata"]["labels"].items()
