"""What `artifact-store doctor` looks at: each check is one thing that keeps a server from working.

A check returns what it found, in words. It raises TroubleError for what must be repaired before the server
can work, and NoticeError for what only deserves to be known.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import ssl
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.delivery import Sink
from registry.contract.errors import StoreError
from registry.server import doctor_database, listen, ownership
from registry.server.findings import Finding, NoticeError, TroubleError
from registry.server.folder import (
    FolderBusyError,
    FolderUnusableError,
    database_of,
    has_folder,
    lock_shared,
)
from registry.server.settings import Settings
from registry.server.settings_parsing import SettingsError
from registry.server.storage import key_ring, provider_of
from registry.server.storage_settings import bucket_of
from registry.server.tls import CertificateError, tls_context

_GIB = 2**30
_FEW_FILES = 4096
_SLOW_FSYNC = 0.02

#: What checks of the folder say where there is none.
_NO_FOLDER = "this machine keeps nothing: database and content are elsewhere"
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


#: What means trouble, in words that are fit to be shown.
_TROUBLES = (TroubleError, FolderBusyError, FolderUnusableError, listen.ListenError, CertificateError)


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check. What a check did not foresee is trouble of its own."""
    for name, check in _CHECKS.items():
        try:
            yield Finding(name, "ok", check(settings))
        except NoticeError as notice:
            yield Finding(name, "notice", str(notice))
        except _TROUBLES as trouble:
            yield Finding(name, "trouble", str(trouble))
        except StoreError as error:
            yield Finding(name, "trouble", error.message)
        except OSError as error:
            yield Finding(name, "trouble", f"{error.filename or name}: {error.strerror or error}")


def _python(settings: Settings) -> str:
    return f"Python {'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}"


def _packages(settings: Settings) -> str:
    try:
        needed = [line for line in requires(ownership.OURS) or [] if "extra ==" not in line]
    except PackageNotFoundError:
        raise NoticeError(
            "artifact-store runs from a folder, not installed; its packages were not checked"
        ) from None
    missing = []
    for line in needed:
        match = _REQUIREMENT.match(line)
        try:
            version(match[0] if match else line)
        except PackageNotFoundError:
            missing.append(line)
    if missing:
        raise TroubleError(f"missing: {', '.join(missing)}; `pip install artifact-store` brings them")
    return f"artifact-store {version(ownership.OURS)} and the {len(needed)} packages it needs"


def _owner_of_oci(settings: Settings) -> str:
    owners = ownership.other_owners()
    if owners:
        raise TroubleError(ownership.explain(owners))
    return "the import name oci is ours alone"


def _event_loop(settings: Settings) -> str:
    if settings.server.loop == "asyncio":
        return "asyncio, as set"
    try:
        return f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        raise NoticeError("uvloop is not installed, so asyncio serves: correct, and slower") from None


def _data_folder(settings: Settings) -> str:
    if not has_folder(settings):
        return _NO_FOLDER
    data = settings.server.data.absolute()
    if not data.exists():
        parent = next(parent for parent in data.parents if parent.exists())
        if not os.access(parent, os.W_OK | os.X_OK):
            raise TroubleError(f"{data} is not there and {parent} does not let this user make it")
        return f"{data} will be made with the first start"
    if not data.is_dir():
        raise TroubleError(f"{data} is not a folder")
    with tempfile.TemporaryFile(dir=data):
        pass
    status = data.stat()
    if status.st_mode & 0o077:
        raise NoticeError(f"{data} is open to other users of this machine; `chmod 700 {data}` closes it")
    return f"{data} is writable, and this user's alone"


def _lock(settings: Settings) -> str:
    if not has_folder(settings):
        return _NO_FOLDER
    if not (settings.server.data / "lock").exists():
        return "nobody has worked on the folder yet"
    lock_shared(settings.server.data).close()
    return "no offline command works on the folder"


def _storage(settings: Settings) -> str:
    bucket = bucket_of(settings.storage)
    if bucket is None:
        return "content lives in the data folder, as set"
    # Late: nothing else here needs the SDK.
    from registry.dataplane import examine_s3

    found = asyncio.run(examine_s3(bucket))
    if found.notices:
        raise NoticeError(f"{found.text}; {'; '.join(found.notices)}")
    return found.text


def _locations(settings: Settings) -> str:
    """The store works while a place is away; what lies there alone cannot be read meanwhile."""
    if not settings.locations:
        return "content lies where it arrives, and nowhere else"
    from registry.server.locations import look_at

    found = asyncio.run(look_at(settings))
    usable = [f"{one.name} ({one.tier}) can be read and written" for one in found if one.trouble is None]
    troubles = [f"{one.name}: {one.trouble}" for one in found if one.trouble is not None]
    if troubles:
        raise NoticeError("; ".join((*troubles, *usable)))
    return "; ".join(usable)


def _format(settings: Settings) -> str:
    if settings.storage.url is not None:
        return "the bucket has its own"
    from registry.dataplane.format import FORMAT, NAME, ensure_format

    data = settings.server.data
    if not (data / NAME).exists() and not (data / "content").exists():
        return f"a new store will have format {FORMAT}"
    ensure_format(data)
    return f"the store has a format this program knows (up to {FORMAT})"


def _space(settings: Settings) -> str:
    if not has_folder(settings):
        return _NO_FOLDER
    disk = os.statvfs(_existing(settings.server.data))
    free = disk.f_bavail * disk.f_frsize
    share = disk.f_bavail / max(1, disk.f_blocks)
    text = f"{free / _GIB:.1f} GiB free, {share:.0%}"
    if not disk.f_favail and disk.f_files:
        raise TroubleError(f"{text}, but no inode is left: no file can be made")
    if free < _GIB:
        raise TroubleError(f"{text}: less than 1 GiB; make room, or pushes will fail soon")
    if share < 0.05:
        raise NoticeError(f"{text}: nearly full")
    return text


def _fsync(settings: Settings) -> str:
    """Every acknowledged push waits for the disk, so this is the latency nobody can go below."""
    if not has_folder(settings):
        return _NO_FOLDER
    times = []
    with tempfile.TemporaryFile(dir=_existing(settings.server.data)) as file:
        for _ in range(15):
            file.write(b"\0" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    median = statistics.median(times)
    if median > _SLOW_FSYNC:
        raise NoticeError(
            f"fsync takes {median * 1000:.1f} ms (median of 15): every push waits that long, and more"
        )
    return f"fsync takes {median * 1000:.2f} ms (median of 15)"


def _files(settings: Settings) -> str:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEW_FILES:
        raise NoticeError(f"at most {hard} open files: connections beyond it fail; raise it with ulimit -Hn")
    return "as many open files as needed" if hard == resource.RLIM_INFINITY else f"up to {hard} open files"


def _address(settings: Settings) -> str:
    listen.check_exposure(settings)
    text = settings.server.listen
    try:
        listen.bind(text).close()
    except listen.ListenError as error:
        if _answers(text, tls=settings.server.tls_cert is not None):
            return f"an artifact-store answers on {text} already"
        raise error from None
    return f"{text} is free"


def _certificate(settings: Settings) -> str:
    server = settings.server
    if server.tls_cert is None:
        return "no TLS here, as set"
    tls_context(settings)
    return f"{server.tls_cert} and its key work together"


def _domains(settings: Settings) -> str:
    """A repository's domain is fixed when it is created; settings that say otherwise have no effect."""
    from registry.control.core import Policies
    from registry.control.sql.inspection import domains_of_repositories
    from registry.server.composition import policies_of

    policies = Policies(policies_of(settings))
    astray, domains = [], {DEFAULT_DOMAIN, *(domain.name for domain in settings.domains)}
    for name, domain in asyncio.run(domains_of_repositories(database_of(settings))):
        domains.add(domain)
        if policies.of(name).domain != domain:
            astray.append(f"{name} is in the domain {domain}, not {policies.of(name).domain}")
    if astray:
        more = f", and {len(astray) - 3} more" if len(astray) > 3 else ""
        raise NoticeError(
            f"{'; '.join(astray[:3])}{more}: repositories stay where they were created, whatever is set since"
        )
    return f"{len(domains)}: {', '.join(sorted(domains))}" if len(domains) > 1 else "one for all"


def _jurisdictions(settings: Settings) -> str:
    """Whether bytes of domains that name jurisdictions arrive, and lie, where they may."""
    from registry.control.sql.inspection import places_of_domains
    from registry.control.tiers.places import Places
    from registry.server.placement import start_trouble
    from registry.server.storage_settings import primary_of, secondary_of
    from registry.server.tiering import placement_of

    placement = placement_of(settings)
    if not placement.restricts:
        return "no domain names any"
    primary = primary_of(settings.storage)
    if (trouble := start_trouble(settings, primary)) is not None:
        raise TroubleError(trouble)
    places = Places((primary, *(secondary_of(rule).place for rule in settings.locations)))
    outside = [
        refusal
        for domain, location in asyncio.run(places_of_domains(database_of(settings)))
        if (refusal := placement.refusal(domain, places.find(location))) is not None
    ]
    if outside:
        raise NoticeError(f"bytes lie outside already: {'; '.join(outside)}; `fsck` says how many")
    return f"held to by {len(placement.jurisdictions)} of the domains"


def _keys(settings: Settings) -> str:
    """Whether sealed domains can be read, and whether settings and store agree on which they are."""
    from registry.control.sql.inspection import domains_with_content

    ring = key_ring(settings)
    keys = settings.keys
    providers = {provider_of(one).id for one in (keys.provider, keys.former) if one is not None}
    strange = next((key for key in ring.states() if key.provider not in providers), None)
    if strange is not None:
        raise TroubleError(
            f"a key of the domain {strange.domain} was wrapped by {strange.provider}, which is neither "
            "keys.provider nor keys.former: name the provider that has it"
        )
    destroyed = ring.destroyed()
    sealed = {key.domain for key in ring.states()}
    asked = {domain.name for domain in settings.domains if domain.sealed}
    unasked = sorted(sealed - asked)
    if unasked:
        raise NoticeError(f"sealed for good, though no setting says so any more: {', '.join(unasked)}")
    held = asyncio.run(domains_with_content(database_of(settings)))
    plain = sorted(name for name in asked - sealed - set(destroyed) if name in held)
    if plain:
        raise NoticeError(
            f"sealed from the next push on: {', '.join(plain)}; what is there already stays plain on the disk"
        )
    gone = f"; destroyed: {', '.join(destroyed)}" if destroyed else ""
    return f"sealed: {', '.join(sorted(asked | sealed)) or 'no domain'}{gone}"


def _events(settings: Settings) -> str:
    """Whether each receiver is there, told without sending it anything."""
    from registry.server.followers import followers_of

    try:
        followers = followers_of(settings)
    except SettingsError as error:
        raise TroubleError(str(error)) from None
    if not followers:
        return "events go nowhere else, as set"
    found, away = [], []
    for follower in followers:
        try:
            found.append(f"{follower.name}: {asyncio.run(_check_sink(follower.open_sink()))}")
        except StoreError as error:
            away.append(f"{follower.name}: {error.message}")
    if away:
        # A receiver may be away for as long as it likes: the server works, and delivers when it is back.
        raise NoticeError("; ".join((*away, *found)))
    return "; ".join(found)


async def _check_sink(sink: Sink) -> str:
    try:
        return await sink.check()
    finally:
        await sink.close()


def _recovery(settings: Settings) -> str:
    """Whether the database could be lost now, and what of it would be."""
    if not settings.recovery.export:
        return "the ledger is not exported, as set: a lost database is lost"
    if settings.storage.url is None and not settings.server.data.is_dir():
        return "the ledger will be exported beside content"
    from registry.server.exporting import describe

    return asyncio.run(describe(settings))


def _clock(settings: Settings) -> str:
    """Times in the ledger never fall, so a clock that runs ahead once stays in it."""
    now = time.time()
    newest = max(
        (entry.stat().st_mtime for entry in settings.server.data.glob("*") if entry.is_file()), default=0.0
    )
    if newest > now + 60:
        raise TroubleError(
            f"the clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC, and files of the store "
            "are from later: set the clock (timedatectl set-ntp true) before serving"
        )
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))


def _existing(path: Path) -> Path:
    """The folder that `path` is, or the nearest above it that is there."""
    absolute = path.absolute()
    return next(folder for folder in (absolute, *absolute.parents) if folder.is_dir())


def _answers(text: str, *, tls: bool) -> bool:
    """Whether what listens there is one of us."""
    host, port = listen.parse_listen(text)
    if not port:
        return False
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    url = f"{'https' if tls else 'http'}://{f'[{name}]' if ':' in name else name}:{port}/"
    # Who it is matters, not whether its certificate is for this name.
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anyone)
    )
    try:
        with opener.open(url, timeout=2) as answer:
            found = json.loads(answer.read(4096))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("service") == ownership.OURS


_CHECKS: dict[str, Callable[[Settings], str]] = {
    "python": _python,
    "packages": _packages,
    "oci": _owner_of_oci,
    "event loop": _event_loop,
    "data folder": _data_folder,
    "lock": _lock,
    "storage": _storage,
    "locations": _locations,
    "format": _format,
    "disk space": _space,
    "fsync": _fsync,
    "open files": _files,
    "address": _address,
    "certificate": _certificate,
    "database": doctor_database.schema,
    "server": doctor_database.server,
    "domains": _domains,
    "jurisdictions": _jurisdictions,
    "keys": _keys,
    "events": _events,
    "recovery": _recovery,
    "clock": _clock,
}
