"""Tiers and jurisdictions from the settings file to the commands."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from registry.server.cli import main
from registry.server.settings import load
from registry.server.settings_parsing import SettingsError
from registry.server.tiering import placement_of, tier_policy_of
from tests.control.tiers.world import PAYLOAD
from tests.control.world import image, once, sha256

TABLES = """
[storage]
jurisdiction = "de"

[tiers]
rest = "0 s"

[care]
lease = "0 s"
delay = "0 s"

[[location]]
name = "shelf"
url = "file:{root}/shelf"
tier = "warm"
jurisdiction = "fr"

[[domain]]
name = "patients"
jurisdictions = ["de"]

[[repository]]
match = "ward/*"
domain = "patients"

[[tier]]
match = ["app", "ward/*"]
to = "shelf"
at_least = "1 KiB"
"""


def write(root: Path, text: str = TABLES) -> list[str]:
    """The settings file, and the flags that name it."""
    file = root / "artifact-store.toml"
    file.write_text(text.replace("{root}", str(root)))
    return ["--config", str(file), "--data", str(root / "data")]


def settings_of(root: Path, text: str) -> str:
    """What is wrong with them."""
    flags = write(root, text)
    with pytest.raises(SettingsError) as caught:
        load({"config": flags[1], "data": flags[3]}, {})
    return str(caught.value)


async def fill(root: Path) -> None:
    from registry.server.offline import open_stored

    flags = write(root)
    settings = load({"config": flags[1], "data": flags[3]}, os.environ).settings
    settings.server.data.mkdir()
    async with open_stored(settings) as opened:
        session = opened.store.for_principal(await opened.store.principal("somebody"))
        from registry.contract.names import Repository, Tag

        for name in (Repository("app"), Repository("ward/7")):
            for data in (b"{}", name.encode() + PAYLOAD):
                await session.uploads.put(name, sha256(data), once(data))
            document = image([name.encode() + PAYLOAD])
            media_type = json.loads(document)["mediaType"]
            await session.manifests.put(name, Tag("v1"), media_type, document)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_rules_are_read_as_they_stand(tmp_path: Path) -> None:
    flags = write(tmp_path)
    settings = load({"config": flags[1], "data": flags[3]}, {}).settings
    (rule,) = tier_policy_of(settings).rules
    assert (rule.to, rule.match, rule.at_least, rule.at_most) == ("shelf", ("app", "ward/*"), 1024, None)
    assert placement_of(settings).jurisdictions == {"patients": frozenset({"de"})}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[tier]]\nmatch = "a"', "has no to"),
        ('[[tier]]\nto = "moon"', "unknown location"),
        ('[[tier]]\nto = "local"\nmatch = []', "must be a glob or a list of globs"),
        ('[[tier]]\nto = "local"\nolder = "1 d"', "unknown key"),
        ('[[tier]]\nto = "local"\nat_least = 2\nat_most = 1', "wants no size at all"),
        ('[tier]\nto = "local"', r"written as \[\[tier\]\]"),
        ('[[domain]]\nname = "d"\njurisdictions = []', "must be a list that names some"),
        ('[[domain]]\nname = "d"\njurisdictions = "de"', "must be a list that names some"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    import re

    assert re.search(sentence, settings_of(tmp_path, text)), settings_of(tmp_path, text)


def test_plan_run_and_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    flags = write(tmp_path)
    assert main(["locations", "prepare", "shelf", *flags[:2], *flags[2:]]) == 0
    asyncio.run(fill(tmp_path))
    capsys.readouterr()
    size = len(b"app" + PAYLOAD)

    code, plan = command(capsys, "tiers", "plan", *flags)
    assert code == 0
    assert plan["moves"] == [{"from": "local", "to": "shelf", "contents": 1, "bytes": size}]
    (refused,) = plan["refused"]
    assert "patients may lie under de alone" in refused["reason"]

    code, done = command(capsys, "tiers", "run", *flags)
    assert (code, done["contents"], done["outside"]) == (0, 1, 1)
    assert done["released"] == {"contents": 1, "bytes": size, "kept": 0}

    code, status = command(capsys, "tiers", "status", *flags)
    shelf = next(one for one in status["locations"] if one["name"] == "shelf")
    assert (code, shelf["contents"], shelf["bytes"], shelf["jurisdiction"]) == (0, 1, size, "fr")
    assert status["waiting"] == {"contents": 0, "bytes": 0}
    for action in ("plan", "run", "status"):
        assert main(["tiers", action, *flags]) == 0
    assert "shelf  warm, under fr: 1 content" in capsys.readouterr().out
    assert main(["fsck", *flags]) == 0


def test_without_rules_there_is_nothing_to_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    asyncio.run(fill_nothing(tmp_path))
    assert main(["tiers", "plan", *write(tmp_path, "")]) == 2
    assert "no [[tier]]" in capsys.readouterr().err


async def fill_nothing(root: Path) -> None:
    from registry.server.offline import open_stored

    flags = write(root, "")
    settings = load({"config": flags[1], "data": flags[3]}, {}).settings
    settings.server.data.mkdir()
    async with open_stored(settings):
        pass


def test_a_backup_goes_where_its_domains_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    flags = write(tmp_path)
    assert main(["locations", "prepare", "shelf", *flags]) == 0
    asyncio.run(fill(tmp_path))
    target = str(tmp_path / "backup")
    assert main(["backup", *flags, target]) == 2
    assert main(["backup", *flags, target, "--jurisdiction", "fr"]) == 2
    assert "--jurisdiction" in capsys.readouterr().err
    assert not (tmp_path / "backup").exists()
    assert main(["backup", *flags, target, "--jurisdiction", "de"]) == 0


def test_doctor_tells_where_bytes_would_arrive_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = write(tmp_path, TABLES.replace('jurisdiction = "de"', 'jurisdiction = "us"'))
    code, found = command(capsys, "doctor", *flags)
    checks = {one["name"]: one for one in found["findings"]}
    assert code == 1
    assert checks["jurisdictions"]["state"] == "trouble"
    assert "storage.jurisdiction" in checks["jurisdictions"]["text"]
