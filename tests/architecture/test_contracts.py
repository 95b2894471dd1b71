"""Every import contract is kept, and every one of them can fail.

A contract that nothing can break guards nothing: a misspelt module, or `root_package` for `root_packages`,
passes for ever. So each gets a violation planted in a copy of the tree, and must find it.
"""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("registry", "oci", "native_api")

#: For each contract, modules and an import that it forbids there.
VIOLATIONS: dict[str, list[tuple[str, str]]] = {
    "layers": [
        ("registry.contract.errors", "registry.control.core"),
        ("registry.contract.errors", "registry.dataplane"),
        ("registry.contract.errors", "registry.http.body"),
        ("registry.contract.errors", "registry.server.settings"),
        ("registry.control.core", "registry.dataplane"),
        ("registry.dataplane.engine", "registry.control"),
        ("registry.dataplane.engine", "registry.http.body"),
        ("registry.control.core", "registry.sinks"),
        ("registry.sinks.signing", "registry.control"),
        ("registry.sinks.signing", "registry.dataplane"),
        ("registry.control.core", "oci"),
        ("registry.http.body", "native_api"),
        ("registry.http.body", "oci"),
        ("oci", "native_api"),
        ("native_api", "oci"),
        ("oci", "registry.server.app"),
        ("native_api", "registry.server.app"),
    ],
    "faces": [
        ("oci", "registry.control"),
        ("oci", "registry.dataplane"),
        ("native_api", "registry.control"),
        ("native_api", "registry.dataplane"),
        ("registry.http.body", "registry.control"),
        ("registry.http.body", "registry.dataplane"),
        ("native_api", "registry.sinks"),
        ("oci", "registry.sinks"),
    ],
    "aiohttp": [
        ("registry.contract.errors", "aiohttp"),
        ("registry.control.core", "aiohttp.web"),
        ("registry.dataplane.engine", "yarl"),
        ("registry.control.sql.tables", "multidict"),
    ],
    "sqlalchemy": [
        ("registry.control.core", "sqlalchemy"),
        ("registry.dataplane.engine", "sqlalchemy.ext.asyncio"),
        ("registry.server.app", "sqlalchemy"),
        ("oci", "sqlalchemy"),
        ("native_api", "sqlalchemy"),
    ],
    "database-drivers": [
        ("registry.control.core", "sqlite3"),
        ("registry.control.core", "alembic"),
        ("registry.server.app", "aiosqlite"),
        ("registry.dataplane.engine", "asyncpg"),
        ("registry.dataplane.packs.store", "sqlite3"),
    ],
    "blake3": [
        ("registry.dataplane.engine", "blake3"),
        ("registry.contract.manifest", "blake3"),
        ("oci", "blake3"),
    ],
    "chunks": [
        ("registry.dataplane.engine", "pyfastcdc"),
        ("registry.dataplane.packs.packing", "zstandard"),
        ("registry.control.core", "zstandard"),
    ],
    "ciphers": [
        ("registry.dataplane.sealing.keyring", "cryptography"),
        ("registry.server.app", "cryptography"),
    ],
    "cbor": [
        ("registry.contract.package", "cbor2"),
        ("registry.control.core", "cbor2"),
        ("native_api", "cbor2"),
    ],
    "canonical-json": [
        ("registry.control.core", "rfc8785"),
        ("native_api", "rfc8785"),
    ],
    "json-schema": [
        ("registry.contract.manifest", "jsonschema"),
        ("registry.server.app", "referencing"),
        ("oci", "jsonschema"),
    ],
    "metrics": [
        ("registry.control.core", "prometheus_client"),
        ("registry.dataplane.engine", "prometheus_client"),
        ("registry.http.body", "uvloop"),
        ("native_api", "prometheus_client"),
    ],
    "s3": [
        ("registry.dataplane.engine", "aiobotocore"),
        ("registry.dataplane.drivers.s3.driver", "botocore"),
        ("registry.control.core", "aiobotocore"),
        ("registry.server.app", "botocore.session"),
        ("oci", "aiobotocore"),
        ("native_api", "botocore"),
    ],
    "kafka": [
        ("registry.control.core", "confluent_kafka"),
        ("registry.sinks.opening", "confluent_kafka.admin"),
        ("oci", "confluent_kafka"),
        ("native_api", "confluent_kafka"),
    ],
    "nats": [
        ("registry.control.core", "nats"),
        ("registry.sinks.webhook", "nats.js"),
        ("registry.server.app", "nats"),
        ("oci", "nats"),
        ("native_api", "nats"),
    ],
    "webhooks": [
        ("registry.sinks.jetstream", "aiohttp"),
        ("registry.sinks.signing", "yarl"),
    ],
}


def contracts() -> list[str]:
    """The ids in `.importlinter`."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return [name.removeprefix(prefix) for name in parser.sections() if name.startswith(prefix)]


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """`lint-imports` in `folder`, on the packages that are there."""
    only = [] if contract is None else ["--contract", contract]
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache", *only],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources without tests, to be vandalised."""
    shutil.copy(ROOT / ".importlinter", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def plant(folder: Path, module: str, imported: str) -> None:
    """Let `module` import something."""
    path = folder.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    file.write_text(f"{file.read_text()}\nimport {imported}\n")


def test_the_house_keeps_its_contracts(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout


def test_every_contract_has_violations_here() -> None:
    assert set(VIOLATIONS) == set(contracts())


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_planted_violations_are_found(copy: Path, contract: str) -> None:
    for module, imported in VIOLATIONS[contract]:
        plant(copy, module, imported)
    result = lint(copy, contract)
    assert "0 kept, 1 broken" in result.stdout, result.stdout
    for module, imported in VIOLATIONS[contract]:
        # Imports of libraries are reported by the library's name alone.
        target = imported if imported.startswith(PACKAGES) else imported.split(".")[0]
        assert f"{module} -> {target} (" in result.stdout, result.stdout
