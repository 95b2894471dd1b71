"""The operator's page names what there is: messages that the program prints, settings, commands, files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from registry.server.cli import COMMANDS
from registry.server.settings import PREFIX, options
from registry.server.settings_rules import TABLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docker" / "OPERATING.md"
TEXT = PAGE.read_text(encoding="utf-8")


def messages() -> list[str]:
    """The first column of the table of messages."""
    section = TEXT.partition("## What its messages mean")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> str:
    """Every text in the program's source, as it is once the parts of a literal are together."""
    texts = []
    for path in sorted((ROOT / "registry").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return "\n".join(texts)


def test_every_message_is_one_that_the_program_says(said: str) -> None:
    found = messages()
    assert len(found) > 10
    # What stands for a value in the source stands between two texts.
    assert [message for message in found if message not in said] == []


def test_every_setting_is_one() -> None:
    keys = {option.key for option in options()}
    groups = {option.group for option in options()}
    named = re.findall(rf"`((?:{'|'.join(groups)})\.[a-z_]+)`", TEXT)
    assert named
    assert set(named) <= keys
    variables = {option.variable for option in options()}
    found = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", TEXT))
    assert {name.removesuffix("_FILE") for name in found} <= variables | {PREFIX}
    assert set(re.findall(r"\[\[([a-z]+)\]\]", TEXT)) <= {*TABLES, "location", "tier", "webhook"}


def test_every_command_is_one() -> None:
    named = set(re.findall(r"`artifact-store\s+([a-z-]+)", TEXT))
    assert named
    assert named <= set(COMMANDS)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT):
        assert (PAGE.parent / target).exists(), target
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in _headings(TEXT)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def _headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)
