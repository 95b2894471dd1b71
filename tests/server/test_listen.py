"""Addresses: parsed, judged, bound."""

import socket

import pytest

from registry.server.listen import ListenError, bind, check_exposure, is_loopback, parse_listen, url_of
from registry.server.settings import Settings, load


def at(listen: str, **flags: str) -> Settings:
    return load({"listen": listen, **flags}, {}).settings


def test_hosts_and_ports() -> None:
    assert parse_listen("127.0.0.1:5000") == ("127.0.0.1", 5000)
    assert parse_listen("[::1]:0") == ("::1", 0)
    assert parse_listen(":5000") == ("", 5000)
    assert parse_listen("registry.example:80") == ("registry.example", 80)


@pytest.mark.parametrize(
    "text", ["5000", "127.0.0.1", "127.0.0.1:", "::1:5000", "host:65536", "host:x", "host:-1"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ListenError, match=r"such as .*:5000"):
        parse_listen(text)


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid")))


@pytest.mark.parametrize("listen", ["0.0.0.0:5000", ":5000", "[::]:5000", "192.0.2.1:5000"])
def test_other_addresses_need_a_proxy_and_say_so(listen: str) -> None:
    with pytest.raises(ListenError, match="--behind-proxy"):
        check_exposure(at(listen))
    check_exposure(at(listen, behind_proxy="true"))


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: .*in use"):
            bind(f"127.0.0.1:{port}")


def test_the_url_is_where_a_client_gets_an_answer() -> None:
    with bind("127.0.0.1:0") as sock:
        assert url_of(sock, tls=False) == f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert url_of(sock, tls=True).startswith("https://")
