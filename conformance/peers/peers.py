"""The registries that are compared: how each is started on local storage, and what it does to be durable."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.clients.golang import BIN
from conformance.server import program


@dataclass(frozen=True)
class Peer:
    """One registry. `find` is its program, None where it is not here; `command` starts it.

    `command` is given the program, a folder for data and settings, and HOST:PORT.
    """

    name: str
    durability: str
    find: Callable[[], Path | None]
    command: Callable[[Path, Path, str], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    deletes: bool = True
    referrers: bool = True
    ours: bool = False


def _ours(program: Path, folder: Path, address: str) -> list[str]:
    data = str(folder / "data")
    return [str(program), "serve", "--data", data, "--listen", address, "--log-access", "false"]


def _ours_on_all_cores(program: Path, folder: Path, address: str) -> list[str]:
    return [*_ours(program, folder, address), "--workers", str(os.cpu_count() or 1)]


def _distribution(program: Path, folder: Path, address: str) -> list[str]:
    settings = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address, "secret": "one"},
    }
    return [str(program), "serve", _written(folder, settings)]


def _zot(program: Path, folder: Path, address: str) -> list[str]:
    host, port = address.split(":")
    settings = {
        "storage": {"rootDirectory": str(folder / "data")},
        "http": {"address": host, "port": port},
        "log": {"level": "error"},
    }
    return [str(program), "serve", _written(folder, settings)]


def _crane(program: Path, folder: Path, address: str) -> list[str]:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    return [str(program), "registry", "serve", "--address", address, "--disk", str(data)]


def _written(folder: Path, settings: object) -> str:
    """The settings' file; JSON is YAML too."""
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    return str(path)


def _in_tools(name: str) -> Callable[[], Path | None]:
    return lambda: BIN / name if (BIN / name).exists() else None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


PEERS = (
    Peer(
        "artifact-store",
        "every answer after fsync of bytes and of the ledger",
        program,
        _ours,
        ours=True,
    ),
    Peer(
        "artifact-store, a worker a core",
        "the same",
        program,
        _ours_on_all_cores,
        ours=True,
    ),
    Peer(
        "distribution",
        "fsync of blobs' files, not of folders",
        _in_tools("registry"),
        _distribution,
        environment={"OTEL_TRACES_EXPORTER": "none"},
        referrers=False,
    ),
    Peer("zot", "no fsync by default", lambda: _on_path("zot"), _zot),
    Peer("crane registry", "no fsync", _in_tools("crane"), _crane, deletes=False),
)
