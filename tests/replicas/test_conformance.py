"""The specification and real clients through the proxy, each request at another replica than the one before.

What the state of the store decides is tried here, and each client in its everyday work; `make conformance
REPLICAS=3` tries everything this way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.oci_suite import Profile, run
from tests.replicas.cluster import Cluster
from tests.server.program import ROOT

#: What lasts over several requests, or is changed by several clients at once.
STATEFUL = (
    r"^(catalog|concurrency|discovery|management"
    r"|push/(cancel|chunked|interrupted|mount|post-put|session|single-post|status|streamed|tags))/"
)
#: Large files and many of them show nothing that replicas could spoil and other clients do not.
CLIENTS = "not big and not hundred and not both_ways and not podman and not docker"

pytestmark = pytest.mark.timeout(600)


def test_the_suite_finds_no_failure(three: Cluster) -> None:
    report = run(three.url, Profile.DEV, algorithms=("sha256",), pattern=STATEFUL)
    assert "\n".join(line for outcome in report.failed for line in outcome.lines()) == ""
    assert "\n".join(line for outcome in report.skipped for line in outcome.lines()) == ""
    assert len(report.passed) > 300


def test_clients_do_their_everyday_work(three: Cluster, tmp_path: Path) -> None:
    arguments = ["conformance/clients", "-k", CLIENTS, "-p", "no:cacheprovider", f"--basetemp={tmp_path}/tmp"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env={**os.environ, "ARTIFACT_STORE_URL": three.url},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{three.log_tail()}"
    assert " passed" in done.stdout
