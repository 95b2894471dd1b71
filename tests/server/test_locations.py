"""Places beside the primary one: what the settings file may say of them, and what commands say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.contract.dataplane import Place, RetrievalTier
from registry.dataplane import FolderSettings, S3Settings
from registry.server.cli import main
from registry.server.settings import Loaded, load
from registry.server.settings_parsing import SettingsError
from registry.server.settings_table import as_json, as_text
from registry.server.storage_settings import primary_of, secondary_of

BUCKET = (
    'name = "old"\nurl = "s3://bucket/old?endpoint=http://host"\n'
    'tier = "archive"\nstorage_class = "GLACIER"\n'
)


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> Loaded:
    path = folder / "settings.toml"
    path.write_text(text)
    return load({"config": str(path), "data": str(folder / "data")}, environ or {})


def one(lines: str) -> str:
    return f"[[location]]\n{lines}"


def test_a_store_has_one_place_unless_told(tmp_path: Path) -> None:
    settings = read(tmp_path, '[storage]\njurisdiction = "de"\ntier = "warm"\n').settings
    assert settings.locations == ()
    assert primary_of(settings.storage) == Place("local", RetrievalTier.WARM, "de", primary=True)


def test_each_medium_becomes_a_place(tmp_path: Path) -> None:
    text = (
        one(f'name = "shelf"\nurl = "file:{tmp_path}/shelf"\ntier = "warm"\njurisdiction = "fr"\n')
        + one(
            f'name = "tape"\nurl = "folder:{tmp_path}/tape"\ntier = "archive"\n'
            'restore_command = "fetch --drive 1"\nrestore_days = 3\n'
        )
        + one(BUCKET + 'access_key = "AK"\nsecret_key_env = "KEY"\nrestore_tier = "bulk"\nrestore_days = 2\n')
    )
    loaded = read(tmp_path, text, {"KEY": "hush"})
    shelf, tape, old = map(secondary_of, loaded.settings.locations)
    assert shelf.place == Place("shelf", RetrievalTier.WARM, "fr", primary=False)
    assert shelf.medium == tmp_path / "shelf"
    assert tape.medium == FolderSettings(tmp_path / "tape", 3, ("fetch", "--drive", "1"))
    assert isinstance(old.medium, S3Settings)
    assert (old.medium.bucket, old.medium.prefix, old.medium.storage_class) == ("bucket", "old/", "GLACIER")
    assert (old.medium.access_key, old.medium.secret_key) == ("AK", "hush")
    assert (old.medium.restore_days, old.medium.restore_tier) == (2, "Bulk")
    assert "location shelf: file:" in as_text(loaded)
    shown = json.dumps(as_json(loaded)["locations"]) + as_text(loaded) + repr(loaded.settings)
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('name = "x"\ntier = "warm"\n', "has no url"),
        ('name = "x"\nurl = "file:/x"\n', "has no tier"),
        ('url = "file:/x"\ntier = "warm"\n', "has no name"),
        ('name = "X y"\nurl = "file:/x"\ntier = "warm"\n', "lower-case"),
        ('name = "local"\nurl = "file:/x"\ntier = "warm"\n', "taken"),
        ('name = "x"\nurl = "ftp://x"\ntier = "warm"\n', "must be file:PATH"),
        ('name = "x"\nurl = "file:"\ntier = "warm"\n', "must be file:PATH"),
        ('name = "x"\nurl = "file:/x"\ntier = "cold"\n', "answers at once"),
        ('name = "x"\nurl = "folder:/x"\ntier = "warm"\n', "answers at once"),
        ('name = "x"\nurl = "s3://bucket"\ntier = "archive"\n', "answers at once"),
        (BUCKET.replace('"archive"', '"warm"'), "answers at once"),
        ('name = "x"\nurl = "file:/x"\ntier = "warm"\nstorage_class = "GLACIER"\n', "for buckets"),
        ('name = "x"\nurl = "file:/x"\ntier = "warm"\nrestore_command = "y"\n', "for folder:"),
        ('name = "x"\nurl = "folder:/x"\ntier = "cold"\nrestore_command = "\'"\n', "cannot be read"),
        ('name = "x"\nurl = "folder:/x"\ntier = "cold"\nrestore_days = 0\n', "from 1 to 365"),
        (BUCKET + 'access_key = "AK"\n', "go together"),
        (BUCKET + 'access_key = "AK"\nsecret_key_env = "NONE"\n', "not in the environment"),
        (BUCKET + 'access_key = "AK"\nsecret_key = "a"\nsecret_key_env = "KEY"\n', "leave one of them out"),
        ('name = "x"\nurl = "s3://ab"\ntier = "warm"\n', "the location x"),
        ('name = "x"\nurl = "file:/x"\ntier = "warm"\ncolour = "red"\n', "unknown key"),
    ],
)
def test_what_cannot_be_a_place_is_refused_with_a_sentence(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, one(lines), {"KEY": "hush"})


def test_names_and_folders_are_each_taken_once(tmp_path: Path) -> None:
    shelf = f'name = "shelf"\nurl = "file:{tmp_path}/shelf"\ntier = "warm"\n'
    with pytest.raises(SettingsError, match="taken"):
        read(tmp_path, one(shelf) * 2)
    with pytest.raises(SettingsError, match="not apart"):
        read(tmp_path, one(shelf) + one(shelf.replace('"shelf"', '"deeper"').replace("/shelf", "/shelf/in")))
    with pytest.raises(SettingsError, match="the data folder are not apart"):
        read(tmp_path, one(shelf.replace("/shelf", "/data/shelf")))


def test_a_bucket_takes_nothing_of_sealed_domains(tmp_path: Path) -> None:
    sealed = '[keys]\nprovider = "environment:KEK"\n[[domain]]\nname = "secret"\nsealed = true\n'
    with pytest.raises(SettingsError, match="the location old is a bucket"):
        read(tmp_path, sealed + one(BUCKET))


def test_a_place_is_prepared_once_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        one(f'name = "shelf"\nurl = "file:{tmp_path}/shelf"\ntier = "warm"\n')
        + one(f'name = "tape"\nurl = "folder:{tmp_path}/tape"\ntier = "archive"\n')
    )
    where = ["--config", str(settings), "--data", str(tmp_path / "data")]
    assert main(["locations", *where]) == 1
    assert "has no LOCATION" in capsys.readouterr().out
    for name in ("shelf", "tape", "tape"):
        assert main(["locations", "prepare", name, *where]) == 0
    capsys.readouterr()
    assert main(["locations", "--json", *where]) == 0
    found = json.loads(capsys.readouterr().out)["locations"]
    assert [(place["name"], place["trouble"]) for place in found] == [("shelf", None), ("tape", None)]
    main(["doctor", *where])
    assert "shelf (warm) can be read and written" in capsys.readouterr().out
    (tmp_path / "tape" / "vault").rename(tmp_path / "taken")
    main(["doctor", *where])
    assert "vault is not there; mount it" in capsys.readouterr().out


def test_what_holds_something_else_is_not_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "holiday.jpg").touch()
    settings = tmp_path / "settings.toml"
    settings.write_text(one(f'name = "shelf"\nurl = "file:{tmp_path}/shelf"\ntier = "warm"\n'))
    where = ["--config", str(settings), "--data", str(tmp_path / "data")]
    assert main(["locations", "prepare", "shelf", *where]) == 2
    assert "holiday.jpg" in capsys.readouterr().err
    assert main(["locations", "prepare", "other", *where]) == 2
    assert "there are: shelf" in capsys.readouterr().err
