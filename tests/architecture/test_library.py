"""The store is a library first: without a server, nothing of one is loaded."""

import subprocess
import sys

import pytest


def loaded_of(code: str, *names: str) -> list[str]:
    """Which of the modules `names` are loaded once `code` has run in a fresh interpreter."""
    code += f"\nimport sys\nprint(*(name for name in {names!r} if name in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.parametrize("package", ["registry.contract.store", "registry.dataplane", "registry.control"])
def test_the_store_loads_no_http(package: str) -> None:
    assert loaded_of(f"import {package}", "aiohttp", "yarl", "uvloop", "prometheus_client") == []


@pytest.mark.parametrize(
    ("package", "foreign"),
    [("registry.dataplane", "sqlalchemy"), ("registry.http.body", "sqlalchemy"), ("oci", "jsonschema")],
)
def test_packages_do_not_drag_in_each_others_libraries(package: str, foreign: str) -> None:
    assert loaded_of(f"import {package}", foreign) == []


def test_the_command_line_starts_without_the_server() -> None:
    code = "from registry.server.cli import main; main(['serve', '--help'])"
    assert loaded_of(code, "aiohttp", "sqlalchemy", "prometheus_client", "asyncio") == []
