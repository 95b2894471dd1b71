"""The specification's own conformance suite, where somebody has put it on PATH as `conformance`."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from conformance.server import Server

#: What a repository of a run is called; the second part says which data is pushed.
FULL, SPARSE = "official/full", "official/sparse"


@dataclass(frozen=True)
class OfficialResult:
    """What one run of it found."""

    profile: str
    sparse: bool
    passed: int
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


def program() -> Path | None:
    """The suite's program; None where it is not on PATH."""
    found = shutil.which("conformance")
    return Path(found) if found else None


def run(suite: Path, server: Server, profile: str, folder: Path, *, sparse: bool) -> OfficialResult:
    """Run it against a server, with results in `folder`; `sparse` adds manifests whose blobs are absent.

    Raises RuntimeError when it tested nothing: it exits 0 on a wrong configuration, and 1 on failed tests,
    so its status says nothing and its junit.xml everything.
    """
    root = SPARSE if sparse else FULL
    settings = {
        "OCI_REGISTRY": server.host,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"{root}/{profile}/one",
        "OCI_REPO2": f"{root}/{profile}/two",
        "OCI_VERSION": profile,
        "OCI_DATA_SPARSE": "true" if sparse else "false",
        "OCI_RESULTS_DIR": str(folder),
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")} | settings
    said = subprocess.run(
        [suite], env=ours, cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
    junit = folder / "junit.xml"
    if not junit.exists():
        raise RuntimeError(f"{suite} wrote no junit.xml:\n{said.stdout[-2000:]}{said.stderr[-2000:]}")
    result = _read(junit, profile, sparse)
    if not result.passed:
        raise RuntimeError(f"{suite} passed nothing; is it configured?\n{said.stderr[-2000:]}")
    return result


def _read(junit: Path, profile: str, sparse: bool) -> OfficialResult:
    verdicts: dict[str, list[str]] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        reason = (case.findtext("system-out") or case.findtext("failure") or "").strip()
        told = f"{case.get('name', '').partition('/')[2]}: {reason}".removesuffix(": ")
        verdicts.setdefault(case.get("status", "without a status"), []).append(told)
    passed, skipped = verdicts.pop("passed", []), verdicts.pop("skipped", []) + verdicts.pop("disabled", [])
    failed = [f"{status}: {told}" for status, all_told in verdicts.items() for told in all_told]
    return OfficialResult(profile, sparse, len(passed), tuple(failed), tuple(skipped))
