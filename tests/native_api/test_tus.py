"""tus 1.0, by hand and with tuspy."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import pytest
from blake3 import blake3
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from tests.native_api.world import ROOT, World

UPLOADS = f"{ROOT}/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def encoded(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def test_options_tell_what_is_spoken(world: World) -> None:
    answer = await world.http.request("OPTIONS", UPLOADS)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"] == "creation,creation-with-upload,termination,expiration"


async def test_an_upload_commits_at_its_last_byte(world: World) -> None:
    opened = await world.http.post(UPLOADS, headers={**TUS, "Upload-Length": "6"})
    assert opened.status_code == 201
    assert opened.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Expires" in opened.headers
    place = opened.headers["Location"]
    first = await world.http.patch(place, content=b"abc", headers={**BYTES, "Upload-Offset": "0"})
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "3")
    assert "Content-Address" not in first.headers
    assert (await world.http.get(place)).json()["content"] is None
    last = await world.http.patch(place, content=b"def", headers={**BYTES, "Upload-Offset": "3"})
    address = f"blake3:{blake3(b'abcdef').hexdigest()}"
    assert (last.status_code, last.headers["Content-Address"]) == (204, address)
    head = await world.http.head(place, headers=TUS)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("6", "6")
    assert (await world.http.get(f"{ROOT}/content/{address}")).content == b"abcdef"


async def test_creation_may_carry_the_bytes(world: World) -> None:
    whole = await world.http.post(UPLOADS, content=b"abc", headers={**BYTES, "Upload-Length": "3"})
    assert (whole.status_code, whole.headers["Upload-Offset"]) == (201, "3")
    assert whole.headers["Content-Address"] == f"blake3:{blake3(b'abc').hexdigest()}"
    part = await world.http.post(UPLOADS, content=b"abc", headers={**BYTES, "Upload-Length": "4"})
    assert (part.status_code, part.headers["Upload-Offset"]) == (201, "3")
    assert "Content-Address" not in part.headers


async def test_an_empty_upload_is_complete_when_it_is_created(world: World) -> None:
    opened = await world.http.post(UPLOADS, headers={**TUS, "Upload-Length": "0"})
    assert opened.headers["Content-Address"] == f"blake3:{blake3(b'').hexdigest()}"


async def test_metadata_can_name_repository_and_digest(world: World) -> None:
    metadata = encoded(filename="x.bin", repository="team/app", digest=f"blake3:{blake3(b'abc').hexdigest()}")
    opened = await world.http.post(
        UPLOADS, headers={**TUS, "Upload-Length": "3", "Upload-Metadata": metadata}
    )
    assert opened.json()["repository"] == "team/app"
    wrong = await world.http.patch(
        opened.headers["Location"], content=b"xyz", headers={**BYTES, "Upload-Offset": "0"}
    )
    assert (wrong.status_code, wrong.json()["kind"]) == (422, "digest_mismatch")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Defer-Length": "1"},
        {"Upload-Length": "x"},
        {"Upload-Length": "1", "Upload-Metadata": "repository !"},
        {"Upload-Length": "1", "Upload-Metadata": encoded(repository="Bad Name")},
        {"Upload-Length": "1", "Upload-Metadata": encoded(digest="md5:1")},
    ],
)
async def test_a_bad_creation_is_refused(world: World, headers: dict[str, str]) -> None:
    assert (await world.http.post(UPLOADS, headers={**TUS, **headers})).status_code == 400


async def test_another_version_is_412_and_told_which(world: World) -> None:
    place = (await world.http.post(UPLOADS, headers={**TUS, "Upload-Length": "3"})).headers["Location"]
    for method, path in (("POST", UPLOADS), ("PATCH", place), ("HEAD", place), ("DELETE", place)):
        answer = await world.http.request(method, path, headers={"Tus-Resumable": "0.2.2"})
        assert answer.status_code == 412
        assert answer.headers["Tus-Version"] == "1.0.0"


async def test_bytes_of_another_type_are_415(world: World) -> None:
    place = (await world.http.post(UPLOADS, headers={**TUS, "Upload-Length": "3"})).headers["Location"]
    answer = await world.http.patch(place, content=b"abc", headers={**TUS, "Upload-Offset": "0"})
    assert (answer.status_code, answer.json()["kind"]) == (415, "unsupported_media_type")


async def test_termination(world: World) -> None:
    place = (await world.http.post(UPLOADS, headers={**TUS, "Upload-Length": "3"})).headers["Location"]
    gone = await world.http.delete(place, headers=TUS)
    assert (gone.status_code, gone.headers["Tus-Resumable"]) == (204, "1.0.0")
    assert (await world.http.head(place, headers=TUS)).status_code == 404


async def test_tuspy_uploads_in_chunks_and_resumes(world: World) -> None:
    data = bytes(range(251)) * 5000

    def start() -> str:
        uploader: Any = TusClient(f"{world.url}{UPLOADS}").uploader(
            file_stream=io.BytesIO(data), chunk_size=400_000, metadata={"filename": "x.bin"}
        )
        uploader.upload_chunk()
        return str(uploader.url)

    def resume(url: str) -> str:
        uploader: Any = TusClient(f"{world.url}{UPLOADS}").uploader(
            file_stream=io.BytesIO(data), chunk_size=400_000, url=url
        )
        assert uploader.offset == 400_000
        uploader.upload()
        return str(uploader.request.response_headers["content-address"])

    url = await asyncio.to_thread(start)
    address = await asyncio.to_thread(resume, url)
    assert address == f"blake3:{blake3(data).hexdigest()}"
    read = await world.http.get(f"{ROOT}/content/{address}")
    assert read.content == data


async def test_tuspy_is_told_that_an_upload_is_gone(world: World) -> None:
    url = f"{world.url}{UPLOADS}/0f8fad5b-d9cb-469f-a165-70867728950e"

    def resume() -> None:
        TusClient(f"{world.url}{UPLOADS}").uploader(file_stream=io.BytesIO(b"x"), url=url)

    with pytest.raises(TusCommunicationError):
        await asyncio.to_thread(resume)
