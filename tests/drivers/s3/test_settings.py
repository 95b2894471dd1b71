"""What a storage URL says."""

from __future__ import annotations

import pytest

from registry.dataplane import S3Settings
from registry.dataplane.drivers.s3.settings import bucket_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://abc", S3Settings("abc")),
        ("s3://abc/", S3Settings("abc")),
        ("s3://abc/team/store/", S3Settings("abc", "team/store/")),
        ("s3://abc?region=eu-north-1", S3Settings("abc", region="eu-north-1")),
        (
            "s3://abc/x?endpoint=https://host:9000&path_style=false",
            S3Settings("abc", "x/", endpoint="https://host:9000", path_style=False),
        ),
        ("s3://abc?path_style=true", S3Settings("abc", path_style=True)),
    ],
)
def test_a_url_names_a_bucket(url: str, expected: S3Settings) -> None:
    assert bucket_of(url) == expected


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://abc", "s3://"),
        ("abc", "s3://"),
        ("s3://", "bucket"),
        ("s3://ab", "3 letters"),
        ("s3://key:secret@abc", "access_key"),
        ("s3://abc/a//b", "single slashes"),
        ("s3://abc/ä", "prefix"),
        ("s3://abc?endpoint", "name=value"),
        ("s3://abc?secret_key=hunter2", "not secret_key"),
        ("s3://abc?path_style=maybe", "true or false"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_a_sentence(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        bucket_of(url)
    assert "hunter2" not in str(refused.value)
    assert "secret@" not in str(refused.value)
