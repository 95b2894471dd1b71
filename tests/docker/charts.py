"""The Helm chart rendered by helm itself, and the settings that a rendered pod's program would find."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conformance.clients.tools import need
from registry.server.settings import Settings, load
from tests.docker.dockerfile import parse

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "docker" / "helm" / "artifact-store"

#: The values files that the chart carries for this.
CASES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))

#: Between the oldest and newest that the chart is checked against; helm's own stands for none.
_KUBERNETES = "1.31"

Document = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("helm"), *arguments], capture_output=True, text=True, check=False, timeout=60)


def render(case: str, **values: object) -> list[Document]:
    """What the chart makes of a values file and of `values`. Raises ValueError with what helm says."""
    sets = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    done = helm(
        "template", "try", CHART, "--kube-version", _KUBERNETES, "-f", CHART / "ci" / f"{case}.yaml", *sets
    )
    if done.returncode:
        raise ValueError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document is not None]


def one(documents: list[Document], kind: str) -> Document:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def pods(documents: list[Document]) -> list[Document]:
    """The pods' specifications, of servers and of the migration."""
    return [
        document["spec"]["template"]["spec"]
        for document in documents
        if document["kind"] in ("Deployment", "StatefulSet", "Job")
    ]


def settings_of(documents: list[Document], pod: Document, folder: Path) -> Settings:
    """What the program in `pod` reads: its variables and the files that they name, made below `folder`.

    Raises SettingsError as the program would.
    """
    (container,) = pod["containers"]
    variables = {**_image(), **{each["name"]: each["value"] for each in container["env"]}}
    files = _files(documents, pod)
    for name, value in variables.items():
        if value in files:
            place = folder / value.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(files[value])
            variables[name] = str(place)
    return load({}, variables).settings


def _image() -> dict[str, str]:
    """What the Dockerfile's last stage sets."""
    words = next(
        each.rest
        for each in parse((ROOT / "docker" / "Dockerfile").read_text())[-1].instructions
        if each.word == "ENV"
    )
    return dict(word.split("=", 1) for word in words.split() if word.startswith("ARTIFACT_STORE_"))


def _files(documents: list[Document], pod: Document) -> dict[str, str]:
    """Path in the pod to content, of ConfigMaps and Secrets; those from elsewhere have stand-ins."""
    sources: dict[str, Mapping[str, str]] = {}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            sources[volume["name"]] = _data(documents, "ConfigMap", volume["configMap"]["name"], "data")
        elif "secret" in volume:
            name = volume["secret"]["secretName"]
            sources[volume["name"]] = _data(documents, "Secret", name, "stringData")
    (container,) = pod["containers"]
    return {
        f"{mount['mountPath']}/{key}": content
        for mount in container["volumeMounts"]
        for key, content in sources.get(mount["name"], {}).items()
    }


_STAND_INS = {
    "database-url": "postgresql://registry:word@host/registry",
    "storage-access-key": "key",
    "storage-secret-key": "word",
}


def _data(documents: list[Document], kind: str, name: str, field: str) -> Mapping[str, str]:
    found = [each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    data: Mapping[str, str] = found[0][field] if found else _STAND_INS
    return data
