"""Where credentials may go, and what scopes requests ask for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from oci.client.auth import Authorizer, scope_of
from oci.client.credentials import Credentials
from oci.client.errors import ContentError, UnauthorizedError
from oci.client.transport import Transport, TransportSettings


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/blobs/sha256:0", "repository:a:pull"),
        ("POST", "/v2/a/blobs/uploads/", "repository:a:pull,push"),
        ("PATCH", "/v2/a/blobs/uploads/x", "repository:a:pull,push"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/", ""),
        ("GET", "/api/v1/packages/a", ""),
    ],
)
def test_scopes(method: str, path: str, scope: str) -> None:
    assert scope_of(method, path) == scope


async def test_a_secure_registry_cannot_send_credentials_to_a_plain_token_service() -> None:
    sent: list[str] = []

    async def send(
        method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        sent.append(url)
        return 200, {}, b'{"token": "t"}'

    async def credentials() -> Credentials:
        return Credentials("robot", "secret")

    authorizer = Authorizer("registry.example", send, credentials, secure=True)
    with pytest.raises(UnauthorizedError):
        await authorizer.answer("", None, ['Bearer realm="http://evil.example/token"'])
    assert sent == []
    header = await authorizer.answer("", None, ['Bearer realm="https://good.example/token",service="s"'])
    assert (header, sent) == ("Bearer t", ["https://good.example/token?service=s"])


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("robot", "secret", "secret"))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/x?_state=a%2Fb", "https://registry.example/v2/a/blobs/uploads/x?_state=a%2Fb"),
        ("http://registry.example/v2/x", "https://registry.example/v2/x"),
        ("http://elsewhere.example/v2/x", "http://elsewhere.example/v2/x"),
    ],
)
def test_locations_stay_secure(location: str, expected: str) -> None:
    assert Transport("registry.example", TransportSettings()).resolve(location) == expected


async def test_a_secure_registry_cannot_lead_elsewhere_in_the_clear() -> None:
    async with Transport("registry.example", TransportSettings()) as transport:
        with pytest.raises(ContentError, match="not followed"):
            await transport.request("PATCH", "http://elsewhere.example/v2/x", body=b"secret")
