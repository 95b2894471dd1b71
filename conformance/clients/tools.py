"""Where a walk finds its client, and what it says when there is none."""

import shutil
from pathlib import Path

import pytest

from conformance.clients import debian, maven
from conformance.clients.golang import BIN
from conformance.clients.pins import TOOLS, DebianTool, GoDriver, GoTool, MavenTool
from conformance.settings import from_environment

PINNED = {tool.name for tool in TOOLS if isinstance(tool, GoTool | GoDriver)}
OPTIONAL = {"oras", "notation", "docker"} | {
    tool.name for tool in TOOLS if isinstance(tool, DebianTool) and tool.optional
}
"""Clients that no installer of ours brings, or that say nothing which another does not: never required."""


def find(name: str) -> Path | None:
    """The client's program: a pinned one from .tools/bin only, so its version is known; others from PATH."""
    if name not in PINNED:
        return debian.find(name)
    found = shutil.which(name, path=str(BIN))
    return Path(found) if found else None


def need(name: str) -> Path:
    """The client's program; without it the test is skipped, or fails when every client is required."""
    found = find(name)
    if found is not None:
        return found
    if name in OPTIONAL:
        pytest.skip(f"{name} is not on PATH (optional)")
    how = f"python -m conformance.clients.install --only {name}" if name != "curl" else "install curl"
    if from_environment().require_all:
        pytest.fail(f"{name} is missing and REQUIRE=all: {how}")
    pytest.skip(f"{name} is missing: {how}")


def need_jars(name: str) -> Path:
    """The folder of a Java program's jars; without it, or without Java, the test is skipped."""
    (tool,) = (tool for tool in TOOLS if isinstance(tool, MavenTool) and tool.name == name)
    if not maven.is_here(tool):
        pytest.skip(f"{name} is missing (optional): python -m conformance.clients.install --only {name}")
    return maven.folder(tool)
