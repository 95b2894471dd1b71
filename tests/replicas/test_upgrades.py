"""An upgrade without a window: the next release's migration and replicas, while clients push and pull.

The next release is this one's packages in a folder of their own, with one migration more; both run as real
processes, behind the proxy's configuration that docker/replicas ships.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.clients.tools import need
from registry.control.sql import migrate
from tests.ports import await_listener, free_ports
from tests.replicas.cluster import Cluster, cluster
from tests.replicas.load import Load
from tests.replicas.replica import Replica
from tests.server.program import ROOT, environment

pytestmark = pytest.mark.slow

NEXT = "9999"
MIGRATION = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{migrate.CURRENT}"


def upgrade() -> None:
    op.add_column("tags", sa.Column("colour", sa.Text(), server_default="red", nullable=False))
    op.create_table("paints", sa.Column("colour", sa.Text(), primary_key=True))
"""

#: A third of the times that the compose file and its proxy have, to be done sooner.
SOONER = {"ARTIFACT_STORE_DRAIN_DELAY": "2s"}
INTERVAL = ("inter 2s", "inter 600ms")


@dataclass(frozen=True)
class Release:
    """Packages that are run instead of this checkout's."""

    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "registry.server", *arguments, "--data", "/nowhere"],
            env=environment(**{**settings, **self.variables}),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def next_release(folder: Path, *, oldest: str) -> Release:
    """One with a migration more, whose database is good for programs from the schema `oldest` on."""
    for package in ("registry", "oci", "native_api"):
        shutil.copytree(ROOT / package, folder / package)
    module = folder / "registry" / "control" / "sql" / "migrate.py"
    text, count = re.subn(r'(?m)^CURRENT = ".*"$', f'CURRENT = "{NEXT}"', module.read_text())
    text, more = re.subn(r'(?m)^OLDEST = ".*"$', f'OLDEST = "{oldest}"', text)
    assert (count, more) == (1, 1)
    module.write_text(text)
    (module.parent / "migrations" / "versions" / f"{NEXT}_next.py").write_text(MIGRATION)
    return Release(folder)


@dataclass(frozen=True)
class ShippedProxy:
    """HAProxy as docker/replicas has it, told where these replicas are."""

    port: int


@contextmanager
def shipped_proxy(folder: Path, replicas: Sequence[Replica]) -> Iterator[ShippedProxy]:
    (port,) = free_ports(1)
    text = (ROOT / "docker" / "replicas" / "haproxy.cfg").read_text()
    servers = "\n".join(f"    server {each.name} 127.0.0.1:{each.port}" for each in replicas)
    changes = [("bind :5000", f"bind 127.0.0.1:{port}"), INTERVAL]
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    text, count = re.subn(r"(?m)^    server-template .*$", servers, text)
    assert count == 1
    (folder / "shipped.cfg").write_text(text)
    with (folder / "shipped.log").open("wb") as log:
        process = subprocess.Popen(
            [need("haproxy"), "-db", "-f", folder / "shipped.cfg"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        await_listener(port)
        yield ShippedProxy(port)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Replicas of this release, which say long enough before that they go."""
    with cluster(tmp_path_factory.mktemp("upgrade"), replicas=2, settings=SOONER) as started:
        yield started


def test_an_upgrade_costs_no_request(rolling: Cluster, tmp_path: Path) -> None:
    release = next_release(tmp_path / "next", oldest=migrate.CURRENT)
    settings = rolling.replicas[0].settings

    # Too early: a new replica refuses, and says what comes first.
    early = release.run("serve", "--listen", "127.0.0.1:0", **settings)
    assert early.returncode == 2
    assert "artifact-store migrate" in early.stderr

    with shipped_proxy(tmp_path, rolling.replicas) as proxy:
        load = Load(proxy, "upgrade", seed=1)
        load.start()
        try:
            load.run_for(40)
            migrated = release.run("migrate", **settings)
            assert (migrated.returncode, migrated.stdout) == (0, "the database was migrated\n"), (
                migrated.stderr
            )
            load.run_for(40)
            # A node fails in the middle: the old release starts again, on the new schema.
            rolling.replicas[0].restart()
            assert "an upgrade is under way" in rolling.replicas[0].log()
            for replica in rolling.replicas:
                assert replica.stop() == 0
                replica.settings |= release.variables
                replica.start()
            load.run_for(40)
        finally:
            load.stop()
        assert load.figures.wrong == [], load.figures.wrong[0]
        assert load.figures.failed == {}
        assert load.figures.reads > 20
        load.verify()
    assert rolling.postgres.execute("SELECT DISTINCT colour FROM tags", "store") == "red"


def test_an_old_release_refuses_a_schema_that_is_not_good_for_it(rolling: Cluster, tmp_path: Path) -> None:
    release = next_release(tmp_path / "next", oldest=NEXT)
    ours = {key: value for key, value in rolling.replicas[0].settings.items() if not key.startswith("PYTHON")}
    database = rolling.postgres.url("contracted")
    rolling.postgres.execute("CREATE DATABASE contracted")
    assert release.run("migrate", **{**ours, "ARTIFACT_STORE_DATABASE_URL": database}).returncode == 0
    old = Release(ROOT).run(
        "serve", "--listen", "127.0.0.1:0", **{**ours, "ARTIFACT_STORE_DATABASE_URL": database}
    )
    assert (old.returncode, "run a newer artifact-store" in old.stderr) == (2, True), old.stderr
