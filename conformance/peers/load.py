"""The programs that put a registry under load, and what they say of it."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.clients.golang import BIN

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LUA = Path(__file__).with_name("paths.lua")
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class LoadError(Exception):
    """A load that met errors, or a tool that did not run; the message is its word."""


@dataclass(frozen=True)
class Load:
    """What a load came to: requests or artifacts `done`, their times in milliseconds."""

    done: int
    seconds: float
    p50_ms: float
    p99_ms: float
    digests: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """A second."""
        return self.done / self.seconds


def wrk(host: str, paths: Sequence[str], connections: int, seconds: float, folder: Path) -> Load:
    """GETs by wrk, going round the paths. Raises LoadError on any answer that is not a 2xx."""
    listed = folder / "paths"
    listed.write_text("\n".join(paths) + "\n")
    said = _run(
        *("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"),
        *("-H", f"Accept: {MANIFEST}, */*", "-s", str(_LUA), f"http://{host}", "--", str(listed)),
    )
    if bad := re.search(r"(Non-2xx or 3xx responses|Socket errors): (.*)", said):
        raise LoadError(f"{bad.group(0)} at {paths[0]}")
    total = re.search(r"(\d+) requests in ([\d.]+)(\w+)", said)
    median, slowest = (re.search(rf"\s{part}%\s+([\d.]+)(\w+)", said) for part in (50, 99))
    if total is None or median is None or slowest is None:
        raise LoadError(said)
    return Load(
        int(total.group(1)),
        float(total.group(2)) * _UNITS[total.group(3)] / 1000,
        float(median.group(1)) * _UNITS[median.group(2)],
        float(slowest.group(1)) * _UNITS[slowest.group(2)],
    )


def requests(
    host: str,
    method: str,
    paths: Sequence[str],
    folder: Path,
    *,
    connections: int = 1,
    seconds: float | None = None,
    name: str = "paths",
) -> Load:
    """Requests by the load driver: each path once, or round the paths for so long."""
    listed = folder / name
    listed.write_text("\n".join(paths) + "\n")
    return driver(
        *("request", f"-method={method}", f"-connections={connections}", f"-accept={MANIFEST}"),
        *(("-once",) if seconds is None else (f"-seconds={seconds}",)),
        *(host, str(listed)),
    )


def driver(*arguments: str) -> Load:
    """The load driver with these arguments. Raises LoadError with the first error it met."""
    found = json.loads(_run(str(BIN / "load-driver"), *arguments))
    if found["errors"]:
        raise LoadError(f"{found['errors']} errors, the first: {found.get('error')}")
    return Load(
        found["done"], found["seconds"], found["p50_ms"], found["p99_ms"], tuple(found.get("digests", ()))
    )


def run(*command: str | Path) -> str:
    """A real client's output. Raises LoadError when it fails."""
    return _run(*map(str, command))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise LoadError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
