"""`artifact-store serve`: the registry itself."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from registry.contract.errors import StoreError
from registry.server import listen, ownership
from registry.server.cli.console import (
    CommandError,
    explain_os_error,
    explain_store_error,
    print_json,
)
from registry.server.cli.options import add_settings, load_settings
from registry.server.folder import (
    FolderBusyError,
    FolderUnusableError,
    create_folder,
    has_folder,
    lock_shared,
)
from registry.server.settings import Settings
from registry.server.settings_parsing import SettingsError
from registry.server.tls import CertificateError, tls_context

if TYPE_CHECKING:
    import socket

HELP = """\
run the registry

Serves the OCI API under /v2/ and the native API under /api/v1/ until SIGTERM or ^C; then requests in flight
are finished (for --drain at most) and the exit code is 0. A second signal ends it at once. When it can
answer, it prints one line, `listening on http://HOST:PORT`, on stdout; its log goes to stderr. Servers on one
machine may share a data folder, as --workers do. There are three forms, a flag each, or a variable, or a line
of the settings file:

  embedded            database and content are files of the data folder; nothing else is needed
  with a bucket       --storage: content is in an S3-compatible service, the database in the data folder
  replicas            --storage and --database: any number of servers, none of which has a data folder

and --events sends what happens to NATS or to a webhook in each of them.

examples:
  artifact-store serve                                   127.0.0.1:5000, everything in ./data
  artifact-store serve --data /srv/artifacts --workers 4
  artifact-store serve --data /srv/artifacts --storage 's3://artifacts?endpoint=https://s3.example.com'
  artifact-store serve --database postgresql://registry@db/registry --storage s3://artifacts/prod
  artifact-store serve --listen 127.0.0.1:0              any free port; read it from the line
  artifact-store serve --listen 0.0.0.0:5000 --behind-proxy
                                                         only behind a proxy that authenticates
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)


def run(args: argparse.Namespace) -> int:
    settings = load_settings(args).settings
    owners = ownership.other_owners()
    if owners:
        raise CommandError(ownership.explain(owners))
    try:
        listen.check_exposure(settings)
        tls_context(settings)  # told before anything is made
        if settings.events.url is not None or settings.webhooks:
            from registry.server.followers import followers_of  # late: most registries have none

            followers_of(settings)
        with ExitStack() as held:
            if has_folder(settings):
                create_folder(settings.server.data)
                held.enter_context(lock_shared(settings.server.data))
            sock = held.enter_context(listen.bind(settings.server.listen))
            url = listen.url_of(sock, tls=settings.server.tls_cert is not None)

            def ready() -> None:
                if args.json:
                    print_json({"listening": url})
                else:
                    _announce(url)

            return _serve(sock, settings, ready)
    except (
        listen.ListenError,
        CertificateError,
        FolderBusyError,
        FolderUnusableError,
        SettingsError,
    ) as error:
        raise CommandError(str(error)) from None
    except StoreError as error:
        raise CommandError(explain_store_error(error)) from None
    except OSError as error:
        raise CommandError(explain(error)) from None


def explain(error: BaseException) -> str:
    """A sentence about what keeps a worker from serving."""
    if isinstance(error, StoreError):
        return explain_store_error(error)
    if isinstance(error, OSError):
        return explain_os_error(error)
    return "".join(traceback.format_exception(error)).rstrip()


def _serve(sock: socket.socket, settings: Settings, ready: Callable[[], None]) -> int:
    # Late, and before any fork: this is most of the program, and workers share it in memory.
    from registry.server.board import Board
    from registry.server.logs import DirectWriter, LineWriter, Log
    from registry.server.runtime import Seat, serve
    from registry.server.workers import StartError, Supervisor

    def open_log(writer: DirectWriter | LineWriter) -> Log:
        return Log(writer, level=settings.log.level, form=settings.log.format, access=settings.log.access)

    def work(seat: Seat, ready: Callable[[], None]) -> None:
        log = open_log(LineWriter(sys.stderr))
        try:
            serve(sock, settings, seat, log, ready)
        finally:
            log.close()

    board = Board(settings.server.workers)
    if board.workers == 1:
        work(Seat(0, board), ready)
        return 0
    open_log(DirectWriter(sys.stderr))
    supervisor = Supervisor(
        board,
        work,
        drain=settings.server.drain_delay + settings.server.drain,
        explain=explain,
        complain=logging.getLogger("server").warning,
    )
    try:
        return 0 if supervisor.run(ready) else 1
    except StartError as error:
        raise CommandError(str(error)) from None


def _announce(url: str) -> None:
    """One write, so that no other process's line can come between this one and its end."""
    sys.stdout.write(f"listening on {url}\n")
    sys.stdout.flush()
