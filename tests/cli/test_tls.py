"""https with an authority of one's own, with none, and with no questions asked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.certificates import self_signed
from tests.cli.conftest import Runner


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    return self_signed(tmp_path / "certificate.pem")


@pytest.fixture
async def secure(certificate: Path) -> AsyncIterator[str]:
    """`host:port` of a registry with one repository, behind TLS."""

    async def catalog(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"repositories": ["one"]})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    runner = web.ServerRunner(web.Server(catalog))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_authority_of_ones_own(cli: Runner, secure: str, certificate: Path) -> None:
    ended = await cli("ls", secure, "--ca", certificate)
    assert (ended.code, ended.out) == (0, "one\n")


async def test_no_questions_asked(cli: Runner, secure: str) -> None:
    assert (await cli("ls", secure, "--insecure")).out == "one\n"


async def test_an_unknown_authority_is_refused(cli: Runner, secure: str, certificate: Path) -> None:
    port = secure.partition(":")[2]
    other = certificate.with_name("other.pem")
    other.write_text("no certificate")
    assert (await cli("ls", secure, "--ca", other)).code == 2
    # 0.0.0.0 is no loopback address, so https is spoken, and nothing here trusts the certificate.
    ended = await cli("ls", f"0.0.0.0:{port}")
    assert ended.code == 2
    assert "--ca" in ended.err


async def test_http_to_a_listener_that_wants_tls_says_so(cli: Runner, secure: str) -> None:
    ended = await cli("ls", secure, "--plain-http")
    assert ended.code == 2
    assert "if it speaks TLS" in ended.err
