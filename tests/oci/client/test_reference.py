"""References as people type them."""

from __future__ import annotations

import pytest

from oci.client.errors import InvalidReferenceError
from oci.client.reference import is_loopback, parse_place, parse_reference

_DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "repository", "reference"),
    [
        ("repo", "127.0.0.1:5000", "repo", None),
        ("repo:v1", "127.0.0.1:5000", "repo", "v1"),
        ("team/repo:v1", "127.0.0.1:5000", "team/repo", "v1"),
        ("localhost/repo", "localhost", "repo", None),
        ("host:5000/repo:v1", "host:5000", "repo", "v1"),
        ("registry.example.com/a/b/c", "registry.example.com", "a/b/c", None),
        (f"host:5000/repo@{_DIGEST}", "host:5000", "repo", _DIGEST),
        (f"repo:v1@{_DIGEST}", "127.0.0.1:5000", "repo", _DIGEST),
        ("[::1]:5000/repo:v1", "[::1]:5000", "repo", "v1"),
    ],
)
def test_parts(text: str, host: str, repository: str, reference: str | None) -> None:
    found = parse_reference(text)
    assert (found.host, found.repository) == (host, repository)
    assert (None if found.reference is None else str(found.reference)) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":v1",
        "Repo",
        "repo:",
        "repo@",
        "repo@sha256:1",
        "host:99999/repo",
        "ho st.x/repo",
        "repo:v 1",
        "a//b",
    ],
)
def test_what_is_no_reference_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_reference(text)
    assert text.partition("/")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "repository"),
    [
        (None, "127.0.0.1:5000", None),
        ("host:5000", "host:5000", None),
        ("host:5000/", "host:5000", None),
        ("localhost", "localhost", None),
        ("repo", "127.0.0.1:5000", "repo"),
        ("team/repo", "127.0.0.1:5000", "team/repo"),
        ("host:5000/team/repo", "host:5000", "team/repo"),
    ],
)
def test_places(text: str | None, host: str, repository: str | None) -> None:
    found = parse_place(text)
    assert (found.host, found.repository) == (host, repository)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.8.8.8", True),
        ("localhost:1", True),
        ("[::1]:5000", True),
        ("10.0.0.1:5000", False),
        ("localhost.example.com", False),
        ("0.0.0.0:5000", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
