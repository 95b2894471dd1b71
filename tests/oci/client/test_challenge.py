"""WWW-Authenticate lines as registries send them, and as nobody should."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oci.client.challenge import Challenge, parse_challenges


def test_a_token_service() -> None:
    line = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'
    assert parse_challenges([line]) == (
        Challenge(
            "bearer",
            {
                "realm": "https://auth.example/token",
                "service": "registry.example",
                "scope": "repository:a/b:pull,push",
            },
        ),
    )


def test_several_in_one_line_and_in_several() -> None:
    found = parse_challenges(
        ['Negotiate, Basic realm="a \\"quoted\\" one" , charset=UTF-8', "BEARER Realm=x"]
    )
    assert found == (
        Challenge("negotiate", {}),
        Challenge("basic", {"realm": 'a "quoted" one', "charset": "UTF-8"}),
        Challenge("bearer", {"realm": "x"}),
    )


@given(st.lists(st.text(max_size=200), max_size=3))
def test_anything_can_be_read(lines: list[str]) -> None:
    for challenge in parse_challenges(lines):
        assert challenge.scheme == challenge.scheme.lower()
