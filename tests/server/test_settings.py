"""Where settings come from, in which order, and what is refused."""

import itertools
from pathlib import Path

import pytest

from registry.server.settings import DomainRule, Option, PackRule, RepositoryRule, load, options
from registry.server.settings_parsing import SettingsError
from registry.server.settings_table import as_json, as_markdown, as_text
from registry.server.storage_settings import bucket_of

README = Path(__file__).resolve().parents[2] / "README.md"


def write(folder: Path, text: str) -> str:
    path = folder / "artifact-store.toml"
    path.write_text(text)
    return str(path)


def test_defaults_serve_loopback_from_a_folder_here() -> None:
    settings = load({}, {}).settings
    assert settings.server.listen == "127.0.0.1:5000"
    assert settings.server.data == Path("data")
    assert settings.limits.manifest_bytes == 16 * 2**20
    assert settings.uploads.max_bytes is None
    assert settings.uploads.expiry == 24 * 3600


SOURCES = [
    ("flag", {"limits_idle": "1 s"}, {}, ""),
    ("ARTIFACT_STORE_LIMITS_IDLE", {}, {"ARTIFACT_STORE_LIMITS_IDLE": "2 s"}, ""),
    ("file", {}, {}, "[limits]\nidle = '3 s'\n"),
]


@pytest.mark.parametrize(
    "present", [combination for size in (1, 2, 3) for combination in itertools.combinations(range(3), size)]
)
def test_the_first_source_that_has_a_value_wins(tmp_path: Path, present: tuple[int, ...]) -> None:
    flags = {"config": write(tmp_path, "".join(SOURCES[index][3] for index in present))}
    environ: dict[str, str] = {}
    for index in present:
        flags |= SOURCES[index][1]
        environ |= SOURCES[index][2]
    loaded = load(flags, environ)
    assert loaded.settings.limits.idle == present[0] + 1
    expected = flags["config"] if SOURCES[present[0]][0] == "file" else SOURCES[present[0]][0]
    assert loaded.sources["limits.idle"] == expected
    assert loaded.sources["limits.stall"] == "default"


def sample(option: Option) -> str:
    """A text other than the default that every parser of this kind takes."""
    special = {
        "loop": "asyncio",
        "log.level": "debug",
        "log.format": "json",
        "events.format": "cbor",
        "storage.tier": "warm",
        "events.url": "nats://host",
        "database.url": "postgresql://host/name",
        "storage.url": "s3://bucket",
        "storage.sse": "aes256",
        "storage.lock_mode": "compliance",
        "listen": "127.0.0.1:1",
        "pack.codec": "none",
    }
    by_unit = {
        "bytes": "5 MiB",
        "seconds": "7 s",
        "seconds or never": "never",
        "number": "3",
        "path": "/tmp/x",
        "true or false": "yes",
        "part": "50%",
        "1 to 22": "9",
        "reference": "file:/tmp/key",
    }
    by_unit["text"] = by_unit["secret"] = "words"
    if option.default is True:
        return "no"
    return special.get(option.key) or by_unit[option.kind.unit]


@pytest.mark.parametrize("option", list(options()), ids=lambda option: option.key)
def test_every_setting_can_be_set_from_every_source(option: Option, tmp_path: Path) -> None:
    text = sample(option)
    pair = {
        "tls_cert": "tls_key",
        "tls_key": "tls_cert",
        "events.cert": "events.key",
        "events.key": "events.cert",
    }.get(option.key)
    table = "" if option.group == "server" else f"[{option.group}]\n"
    other = f"{pair.rpartition('.')[2]} = '/tmp/x'\n" if pair else ""
    path = write(tmp_path, f"{table}{option.name} = '{text}'\n{other}")
    dest = pair.replace(".", "_") if pair else ""
    variables = {option.variable: text} | ({f"ARTIFACT_STORE_{dest.upper()}": "/tmp/x"} if pair else {})
    flags = {option.dest: text} | ({dest: "/tmp/x"} if pair else {})
    for loaded in (load({"config": path}, {}), load({}, variables), load(flags, {})):
        value = getattr(getattr(loaded.settings, option.group), option.name)
        assert value == option.kind.parse(text)
        assert value != option.default


def test_the_file_of_the_data_folder_is_found_by_itself(tmp_path: Path) -> None:
    write(tmp_path, "workers = 3\n")
    assert load({"data": str(tmp_path)}, {}).settings.server.workers == 3
    assert load({}, {"ARTIFACT_STORE_DATA": str(tmp_path)}).settings.server.workers == 3
    assert load({"data": str(tmp_path / "elsewhere")}, {}).file is None


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load({"config": str(tmp_path / "none.toml")}, {})
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, {"ARTIFACT_STORE_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("worker = 2", "did you mean workers"),
        ("[limit]\nidle = 1", "did you mean limits"),
        ("[limits]\nidel = 1", r"\[limits\].*did you mean idle"),
        ("limits = 3", r"written as \[limits\]"),
        ("[limits]\nidle = 'soon'", "limits.idle .* 'soon'.*duration"),
        ("workers = 0", "at least one"),
        ("workers = 1.5", "whole number"),
        ("[limits]\nmanifest_bytes = '1 MiB'", "below 4 MiB"),
        ("[limits]\nbuffer_bytes = 1", "below 4 MiB"),
        ("[limits]\nidle = 0", "lets nothing through"),
        ("[uploads]\nopen = 0", "lets nothing through"),
        ("tls_cert = 'x.pem'", "go together"),
        ("[database]\nurl = 'mysql://host'", "postgresql://"),
        ("[[repository]]\nsparse = true", "has no match"),
        ("[[repository]]\nmatch = 'a'\nspars = true", "did you mean sparse"),
        ("[[repository]]\nmatch = 'a'\nimmutable_tags = 'v*'", "list of globs"),
        ("[repository]\nmatch = 'a'", r"\[\[repository\]\]"),
        ("[pack]\nafter = 'soon'", "or never"),
        ("[pack]\nlevel = 23", "from 1 to 22"),
        ("[pack]\ndead = 0", "a part such as"),
        ("[pack]\nrate = 0", "lets nothing through"),
        ("[keys]\nprovider = '/etc/key'", "file:PATH"),
        ("[keys]\nprovider = 'command:program'", "command:KEY=PROGRAM"),
        ("[[repository]]\nmatch = 'a'\npack_when = '1 d'", "did you mean pack_"),
        ("[[repository]]\nmatch = 'a'\ndomain = 'secret'", r"no \[\[domain\]\].*secret"),
        ("[[domain]]\nname = 'Secret'", "lower-case"),
        ("[[domain]]\nsealed = true", "has no name"),
        ("[[domain]]\nname = 'a'\n[[domain]]\nname = 'a'", "stands twice"),
        ("[[domain]]\nname = 'a'\nsealed = true", "keys.provider does not say"),
        ("workers = ", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load({"config": write(tmp_path, text)}, {})


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean ARTIFACT_STORE_WORKERS"):
        load({}, {"ARTIFACT_STORE_WORKER": "2"})


@pytest.mark.parametrize(
    "name",
    [
        "URL",
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_HTTP",
        "PORT",
        "PORT_5000_TCP",
        "PORT_5000_TCP_ADDR",
        "NAME",
    ],
)
def test_what_kubernetes_and_docker_put_there_is_none_of_ours(name: str) -> None:
    load({}, {f"ARTIFACT_STORE_{name}": "tcp://10.0.0.1:5000", "PATH": "/bin", "OTHER": "1"})


def test_repository_rules_keep_their_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[[repository]]\nmatch = 'mirror/*'\nsparse = true\n"
        "[[repository]]\nmatch = '*'\nimmutable_tags = ['v*', 'release-*']\n",
    )
    assert load({"config": path}, {}).settings.repositories == (
        RepositoryRule("mirror/*", sparse=True),
        RepositoryRule("*", immutable_tags=("v*", "release-*")),
    )


def test_rules_for_packing_begin_with_the_groups_settings(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[pack]\nafter = '2 d'\nlevel = 5\n"
        "[[repository]]\nmatch = 'hot/*'\npack_after = 'never'\n"
        "[[repository]]\nmatch = 'cold/*'\npack_after = '1 h'\npack_at_most = '1 GiB'\npack_codec = 'none'\n"
        "[[repository]]\nmatch = 'base/*'\n",
    )
    rules = load({"config": path}, {}).settings.repositories
    assert [rule.pack for rule in rules] == [
        PackRule(after=None, level=5),
        PackRule(after=3600, at_most=2**30, codec="none", level=5),
        PackRule(after=2 * 86400, level=5),
    ]


def test_a_variable_that_holds_a_key_may_be_called_anything() -> None:
    provider = "environment:ARTIFACT_STORE_KEY"
    loaded = load({"keys_provider": provider}, {"ARTIFACT_STORE_KEY": "words of the key"})
    assert loaded.settings.keys.provider == provider
    assert "words of the key" not in str(as_json(loaded))


def test_domains_and_who_is_in_them(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "[keys]\nprovider = 'file:/run/key'\n[[domain]]\nname = 'secret'\nsealed = true\n"
        "[[repository]]\nmatch = 'legal/*'\ndomain = 'secret'\n",
    )
    loaded = load({"config": path}, {})
    assert loaded.settings.domains == (DomainRule("secret", sealed=True),)
    assert [rule.domain for rule in loaded.settings.repositories] == ["secret"]
    assert "domain secret: sealed" in as_text(loaded)
    assert "repository legal/*: domain secret" in as_text(loaded)


def test_sealed_domains_in_a_bucket_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[keys]\nprovider = 'file:/run/key'\n[[domain]]\nname = 'legal'\nsealed = true\n")
    with pytest.raises(SettingsError, match=r"the domain legal is sealed, and storage\.url"):
        load({"config": path, "storage_url": "s3://bucket"}, {})


def test_every_setting_says_its_unit_and_reason() -> None:
    for option in options():
        assert option.kind.unit
        assert option.reason.endswith("."), option.key


def test_passwords_are_not_shown() -> None:
    url = "postgresql://me:hunter2@host/name"
    loaded = load({"database_url": url}, {})
    assert loaded.settings.database.url == url
    assert "hunter2" not in as_text(loaded)
    assert "hunter2" not in str(as_json(loaded))
    assert "postgresql://me:****@host/name" in as_text(loaded)


@pytest.mark.parametrize("who", ["me:hunter2", "hunter2", "hunter2:hunter2"])
def test_what_nats_is_told_is_not_shown(who: str) -> None:
    loaded = load({"events_url": f"nats+tls://{who}@host:4222,other"}, {})
    assert loaded.settings.events.url == f"nats+tls://{who}@host:4222,other"
    assert "hunter2@" not in as_text(loaded)
    assert "hunter2@" not in str(as_json(loaded))
    assert "host:4222,other" in as_text(loaded)


HOOK = "[[webhook]]\nurl = 'https://ci.example.com/hook?token=x'\n"
SECRET = "whsec_" + "A" * 43 + "="


def test_webhooks_are_read_and_their_secrets_stay_unseen(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"{HOOK}secret = '{SECRET}'\nkinds = ['tag.*']\nrepositories = ['release/*']\n"
        f"{HOOK}name = 'second'\nsecret_env = 'HOOK_SECRET'\n"
        "start = 'beginning'\nattempts = 3\ntimeout = '2 s'\n"
        f"{HOOK}name = 'third'\nsecret_file = '{tmp_path}/secret'\n",
    )
    loaded = load({"config": path}, {"HOOK_SECRET": SECRET})
    first, second, third = loaded.settings.webhooks
    assert (first.name, first.secret, first.start) == ("ci.example.com", SECRET, "now")
    assert (first.kinds, first.repositories) == (("tag.*",), ("release/*",))
    assert (second.name, second.secret, second.start) == ("second", SECRET, "beginning")
    assert (second.attempts, second.timeout) == (3, 2.0)
    assert (third.secret, third.secret_file) == (None, tmp_path / "secret")
    for shown in (as_text(loaded), str(as_json(loaded)), repr(loaded)):
        assert SECRET not in shown
    for shown in (as_text(loaded), str(as_json(loaded))):
        assert "https://ci.example.com" in shown
        assert "token" not in shown


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HOOK, "one of secret, secret_file and secret_env"),
        (f"{HOOK}secret = 'a'\nsecret_env = 'B'", "one of secret"),
        (f"{HOOK}secret_env = 'NOT_THERE'", "not in the environment"),
        (f"{HOOK}secret = 'a'\n{HOOK}secret = 'b'", "another name"),
        (f"{HOOK}secret = 'a'\nname = 'events'", "another name"),
        (f"{HOOK}secret = 'a'\nname = 'No Name'", "lower-case"),
        (f"{HOOK}secret = 'a'\nkind = ['x']", "did you mean kinds"),
        (f"{HOOK}secret = 'a'\nkinds = 'x'", "list of globs"),
        (f"{HOOK}secret = 'a'\ntimeout = '1 min'", "at most 10 s"),
        ("[[webhook]]\nurl = 'ftp://host/'\nsecret = 'a'", "https://"),
        ("[[webhook]]\nsecret = 'a'", "has no url"),
        ("[webhook]\nurl = 'https://host/'", r"\[\[webhook\]\]"),
        ("[events]\ncert = 'x.pem'", "go together"),
        ("[database]\nconnections = 1", "connections is below 2"),
    ],
)
def test_a_webhook_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load({"config": write(tmp_path, text)}, {})


def test_the_table_in_the_readme_is_the_programs() -> None:
    text = README.read_text(encoding="utf-8")
    _, marker, rest = text.partition("<!-- settings -->\n")
    assert marker, "README.md has no <!-- settings --> marker"
    shown = rest.partition("<!-- /settings -->")[0].strip()
    assert shown == as_markdown().strip(), "paste the output of `artifact-store settings --markdown`"


def test_the_secret_of_a_bucket_is_not_shown(tmp_path: Path) -> None:
    flags = {"storage_url": "s3://bucket/x", "storage_access_key": "me", "storage_secret_key": "hunter2"}
    loaded = load(flags, {})
    assert loaded.settings.storage.secret_key == "hunter2"
    for shown in (as_text(loaded), str(as_json(loaded)), repr(loaded)):
        assert "hunter2" not in shown
        assert "s3://bucket/x" in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"url": "https://bucket"}, "s3://"),
        ({"url": "s3://bucket", "access_key": "me"}, "go together"),
        ({"url": "s3://bucket", "lock_mode": "compliance"}, "go together"),
        ({"url": "s3://bucket", "lock_days": "3"}, "go together"),
        ({"url": "s3://bucket", "storage_class": "GLACIER"}, "restored before each read"),
        ({"url": "s3://bucket", "sse": "aes256", "sse_key": "x"}, "aws:kms"),
        ({"url": "s3://bucket", "sse": "rot13"}, "one of"),
    ],
)
def test_a_bucket_that_cannot_be_meant_is_refused(flags: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load({f"storage_{name}": value for name, value in flags.items()}, {})


def test_a_bucket_as_the_data_plane_takes_it() -> None:
    flags = {
        "url": "s3://bucket/x?endpoint=http://host:1",
        "sse": "AES256",
        "lock_mode": "Governance",
        "lock_days": "3",
        "redirect_bytes": "1 MiB",
        "redirect_for": "90 s",
    }
    found = bucket_of(load({f"storage_{name}": value for name, value in flags.items()}, {}).settings.storage)
    assert found is not None
    assert (found.bucket, found.prefix, found.endpoint) == ("bucket", "x/", "http://host:1")
    assert (found.sse, found.lock_mode, found.lock_days) == ("AES256", "GOVERNANCE", 3)
    assert (found.redirect_bytes, found.redirect_for) == (1 << 20, 90.0)
    assert bucket_of(load({}, {}).settings.storage) is None


def test_a_file_can_have_the_value_of_a_variable(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://me:hunter2@host/name\n")
    loaded = load({}, {"ARTIFACT_STORE_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert loaded.settings.database.url == "postgresql://me:hunter2@host/name"
    assert loaded.sources["database.url"] == "ARTIFACT_STORE_DATABASE_URL"


def test_a_variable_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    both = {"ARTIFACT_STORE_LISTEN": ":1", "ARTIFACT_STORE_LISTEN_FILE": str(tmp_path / "none")}
    with pytest.raises(SettingsError, match="both set"):
        load({}, both)
    with pytest.raises(SettingsError, match=r"LISTEN_FILE.*none cannot be read: No such file"):
        load({}, {"ARTIFACT_STORE_LISTEN_FILE": str(tmp_path / "none")})


def test_a_setting_whose_own_name_ends_in_file_is_a_path() -> None:
    loaded = load({}, {"ARTIFACT_STORE_EVENTS_SECRET_FILE": "/nowhere/secret"})
    assert loaded.settings.events.secret_file == Path("/nowhere/secret")


@pytest.mark.parametrize("flag", ["--database", "--storage", "--events"])
def test_a_backend_is_one_flag(flag: str) -> None:
    assert flag in {option.flag for option in options()}
