"""The bucket: the S3 calls that the driver needs, each tried again and its errors classified.

The one home of the SDK. Its own retries are off, since they know neither our patience nor our jitter.
Payloads are not hashed for the signature but carry a checksum that the server compares: that costs a tenth,
and the loop's thread nothing.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import get_session
from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)
from botocore.utils import get_environ_proxies

from registry.dataplane.drivers.port import Permanent, Transient
from registry.dataplane.drivers.s3.backoff import Backoff
from registry.dataplane.drivers.s3.settings import S3Settings
from registry.dataplane.drivers.s3.standing import standing_of
from registry.dataplane.drivers.s3.trouble import NotThereError, RestoringError, judge
from registry.dataplane.drivers.s3.values import Body, Head, Listed, Signed, Source, Unfinished, Version

#: Seconds until a connection must be there, and until the next byte of an answer must come.
_CONNECT = 5
_ANSWER = 30
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")


class Stream:
    """An answer's body as it arrives."""

    def __init__(self, body: Any, etag: str, size: int, date: datetime) -> None:
        """`date` is when the service began to answer, by its own clock."""
        self._body = body
        self.etag = etag
        self.size = size
        self.date = date

    async def read(self, length: int) -> bytes:
        """The next `length` bytes. Raises Transient when the connection ends before them."""
        pieces = []
        while length:
            try:
                piece = await self._body.read(length)
            except Exception as error:  # the SDK hands on what its HTTP client raises
                raise Transient(f"GetObject broke off: {type(error).__name__}") from error
            if not piece:
                raise Transient("GetObject broke off: fewer bytes than announced")
            pieces.append(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the connection. It is used again only when everything was read."""
        self._body.close()


class Bucket:
    """One bucket. Everything may raise Transient, Permanent and Full, and what trouble.py names."""

    def __init__(self, client: Any, public: Any, sender: AIOHTTPSession, settings: S3Settings) -> None:
        """`public` signs URLs for clients, and `sender` sends requests that were signed as URLs."""
        self._client = client
        self._public = public
        self._sender = sender
        self._settings = settings
        self._backoff = Backoff(settings.patience)

    # --- objects ---------------------------------------------------------------------------------------

    async def put(
        self, key: str, body: Body, *, exclusive: bool = False, writer: str | None = None, kept: bool = False
    ) -> str:
        """Write an object and return its etag. `exclusive` raises ConditionError when there is one.

        `writer` is found again in `Head.writer`; `kept` is for content, with storage class and lock.
        """
        answer = await self._send(
            "put_object",
            body,
            Key=key,
            ChecksumCRC32=body.crc32,
            **({"IfNoneMatch": "*"} if exclusive else {}),
            **({"Metadata": {"writer": writer}} if writer else {}),
            **self._encryption(),
            **(self._keeping() if kept else {}),
        )
        return str(answer["ETag"])

    async def head(self, key: str) -> Head | None:
        """None for 404, which may have other reasons than that the object is not there."""
        try:
            answer = await self._call("head_object", Key=key)
        except NotThereError:
            return None
        until = answer.get("ObjectLockRetainUntilDate")
        held = None
        if answer.get("ObjectLockLegalHoldStatus") == "ON":
            held = "a legal hold"
        elif until is not None and until > datetime.now(UTC):
            held = f"{answer.get('ObjectLockMode', 'retention').lower()} until {until:%Y-%m-%d %H:%M} UTC"
        return Head(
            size=answer["ContentLength"],
            etag=answer["ETag"],
            version=answer.get("VersionId"),
            writer=answer.get("Metadata", {}).get("writer"),
            held=held,
            held_until=until,
            standing=standing_of(answer.get("StorageClass"), answer.get("Restore")),
        )

    async def get(
        self, key: str, start: int | None = None, end: int | None = None, etag: str | None = None
    ) -> Stream:
        """Begin to read, all or bytes `start` to `end` (exclusive). Raises NotThereError, ConditionError
        for another `etag`, EmptyRangeError."""
        bounds = {} if start is None or end is None else {"Range": f"bytes={start}-{end - 1}"}
        answer = await self._call("get_object", Key=key, **bounds, **({"IfMatch": etag} if etag else {}))
        return Stream(answer["Body"], answer["ETag"], answer["ContentLength"], _date(answer))

    async def copy(self, source: Source, key: str, *, exclusive: bool) -> None:
        """Copy a whole object within the bucket, as content. Raises NotThereError, ConditionError."""
        await self._call(
            "copy_object",
            Key=key,
            CopySource=self._at(source.key),
            CopySourceIfMatch=source.etag,
            MetadataDirective="REPLACE",
            **({"IfNoneMatch": "*"} if exclusive else {}),
            **self._encryption(),
            **self._keeping(),
        )

    async def delete(self, key: str, version: str | None = None, etag: str | None = None) -> None:
        """Delete an object, or one version of it; nothing happens when there is none.

        With an `etag`, nothing else: raises ConditionError, or UnsupportedError where it cannot be asked for.
        """
        chosen = {"VersionId": version} if version else {}
        await self._call("delete_object", Key=key, **chosen, **({"IfMatch": etag} if etag else {}))

    async def restore(self, key: str) -> bool:
        """Ask for a copy that can be read for `restore_days`, or for longer than so far.

        True when it is there already, which was prolonged; False while it is under way. Raises NotThereError.
        """
        tier = {"Tier": self._settings.restore_tier}
        try:
            answer = await self._call(
                "restore_object",
                Key=key,
                RestoreRequest={"Days": self._settings.restore_days, "GlacierJobParameters": tier},
            )
        except RestoringError:
            return False
        return int(answer["ResponseMetadata"]["HTTPStatusCode"]) == HTTPStatus.OK

    async def sign_deletion(self, key: str, version: str | None, seconds: int) -> Signed:
        """A deletion that the service takes for so long, to be sent by `send_deletion`."""
        chosen = {"VersionId": version} if version else {}
        try:
            url: str = await self._client.generate_presigned_url(
                "delete_object", Params={**self._at(key), **chosen}, ExpiresIn=seconds
            )
        except BotoCoreError as error:
            raise _known(error) from error
        at = dict(parse_qsl(urlsplit(url).query))["X-Amz-Date"]
        return Signed(url, datetime.strptime(at, "%Y%m%dT%H%M%S%z"))

    async def send_deletion(self, signed: Signed) -> None:
        """Send it once, not again: that is for who signs it anew."""
        try:
            answer = await self._sender.send(AWSRequest(method="DELETE", url=signed.url).prepare())
            text = await answer.content
        except BotoCoreError as error:
            raise _known(error) from error
        if answer.status_code >= 300:
            code = _CODE.search(text)
            found = judge("DeleteObject", answer.status_code, code[1].decode() if code else "Unknown")
            if not isinstance(found, NotThereError):
                raise found

    async def prolong(self, key: str) -> None:
        """Give an object the retention that one written now would get."""
        await self._call("put_object_retention", Key=key, Retention=self._retention())

    def locks(self) -> bool:
        """Whether content is put under Object Lock."""
        return self._settings.lock_mode is not None

    async def listed(self, prefix: str, *, most: int = 1000) -> AsyncIterator[Listed]:
        """Every object whose key begins with `prefix`, by key."""
        token: dict[str, Any] = {}
        while True:
            page = await self._call("list_objects_v2", Prefix=prefix, MaxKeys=most, **token)
            for entry in page.get("Contents", ()):
                yield Listed(entry["Key"], entry["Size"], entry["ETag"], _microseconds(entry["LastModified"]))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def versions(self, prefix: str) -> AsyncIterator[Version]:
        """Every version and deletion marker of the objects whose key begins with `prefix`."""
        token: dict[str, Any] = {}
        while True:
            page = await self._call("list_object_versions", Prefix=prefix, **token)
            for entry in page.get("Versions", ()):
                yield Version(entry["Key"], entry["VersionId"], marker=False)
            for entry in page.get("DeleteMarkers", ()):
                yield Version(entry["Key"], entry["VersionId"], marker=True)
            if not page.get("IsTruncated"):
                return
            token = {"KeyMarker": page["NextKeyMarker"]}
            if page.get("NextVersionIdMarker"):
                token["VersionIdMarker"] = page["NextVersionIdMarker"]

    # --- multipart uploads -------------------------------------------------------------------------------

    async def begin(self, key: str) -> str:
        """Begin a multipart upload of content and return its id."""
        answer = await self._call("create_multipart_upload", Key=key, **self._encryption(), **self._keeping())
        return str(answer["UploadId"])

    async def copy_part(self, key: str, upload: str, number: int, source: Source) -> str:
        """Make a part of bytes that are in the bucket. Returns its etag; raises as `copy`."""
        whole = source.length == source.size
        bounds = {} if whole else {"CopySourceRange": f"bytes={source.start}-{source.end - 1}"}
        answer = await self._call(
            "upload_part_copy",
            Key=key,
            UploadId=upload,
            PartNumber=number,
            CopySource=self._at(source.key),
            CopySourceIfMatch=source.etag,
            **bounds,
        )
        return str(answer["CopyPartResult"]["ETag"])

    async def upload_part(self, key: str, upload: str, number: int, body: Body, md5: str) -> str:
        """Send a part and return its etag. By MD5: other checksums must be chosen when the upload begins."""
        answer = await self._send(
            "upload_part", body, Key=key, UploadId=upload, PartNumber=number, ContentMD5=md5
        )
        return str(answer["ETag"])

    async def complete(self, key: str, upload: str, etags: list[str], *, exclusive: bool) -> None:
        """Make the object of its parts. Raises ConditionError, UploadGoneError."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        await self._call(
            "complete_multipart_upload",
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            **({"IfNoneMatch": "*"} if exclusive else {}),
        )

    async def abort(self, key: str, upload: str) -> None:
        """Drop an upload and its parts. Raises UploadGoneError."""
        await self._call("abort_multipart_upload", Key=key, UploadId=upload)

    async def unfinished(self, prefix: str) -> AsyncIterator[Unfinished]:
        """Every multipart upload of a key that begins with `prefix`."""
        token: dict[str, Any] = {}
        while True:
            page = await self._call("list_multipart_uploads", Prefix=prefix, **token)
            for entry in page.get("Uploads", ()):
                yield Unfinished(entry["Key"], entry["UploadId"], _microseconds(entry["Initiated"]))
            if not page.get("IsTruncated"):
                return
            token = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    # --- the bucket itself -------------------------------------------------------------------------------

    async def url(self, key: str, seconds: float) -> str:
        """A URL under which who has it may GET the object, for so long."""
        found: str = await self._public.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._settings.bucket,
                "Key": key,
                "ResponseContentType": "application/octet-stream",
            },
            ExpiresIn=int(seconds),
        )
        return found

    async def reach(self) -> None:
        """Raises what stands between us and the bucket."""
        await self._call("list_objects_v2", Prefix=self._settings.prefix, MaxKeys=1)

    async def lock_mode(self) -> str | None:
        """What Object Lock does to new objects of the bucket, in words; None when it has none.

        Raises Permanent where it may not be asked.
        """
        try:
            answer = await self._call("get_object_lock_configuration")
        except Permanent as error:
            if "ObjectLockConfigurationNotFound" in str(error):
                return None
            raise
        rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
        if not rule:
            return "on, without a default retention"
        length = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years')} years"
        return f"{rule['Mode'].lower()}, {length} for every new object"

    # --- within ------------------------------------------------------------------------------------------

    async def _send(self, name: str, body: Body, **parameters: Any) -> Mapping[str, Any]:
        """`_call` with a body, which is sent from its beginning each time."""

        async def attempt() -> Mapping[str, Any]:
            body.data.seek(0)
            return await self._once(name, Body=body.data, **parameters)

        return await self._backoff.persist(attempt)

    async def _call(self, name: str, **parameters: Any) -> Mapping[str, Any]:
        return await self._backoff.persist(lambda: self._once(name, **parameters))

    async def _once(self, name: str, **parameters: Any) -> Mapping[str, Any]:
        method = getattr(self._client, name)
        try:
            answer: Mapping[str, Any] = await method(Bucket=self._settings.bucket, **parameters)
            return answer
        except (ClientError, BotoCoreError) as error:
            raise _known(error) from error

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": key}

    def _encryption(self) -> dict[str, Any]:
        if self._settings.sse is None:
            return {}
        key = self._settings.sse_key
        return {"ServerSideEncryption": self._settings.sse, **({"SSEKMSKeyId": key} if key else {})}

    def _keeping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._settings.storage_class is not None:
            found["StorageClass"] = self._settings.storage_class
        if self._settings.lock_mode is not None:
            retention = self._retention()
            found["ObjectLockMode"] = retention["Mode"]
            found["ObjectLockRetainUntilDate"] = retention["RetainUntilDate"]
        return found

    def _retention(self) -> dict[str, Any]:
        until = datetime.now(UTC) + timedelta(days=self._settings.lock_days)
        return {"Mode": self._settings.lock_mode, "RetainUntilDate": until}


def _known(error: ClientError | BotoCoreError) -> Exception:
    """What an exception of the SDK means. Texts of the service are left out: they may quote the request."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        return judge(error.operation_name, status, code)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Permanent(
            "no credentials for the object store were found; set storage.access_key and secret_key"
        )
    if isinstance(error, NoConnectionError | HTTPClientError | ResponseStreamingError):
        return Transient(f"the object store cannot be reached ({type(error).__name__})")
    return Permanent(f"the object store's client refuses: {type(error).__name__}: {error}")


def _date(answer: Mapping[str, Any]) -> datetime:
    """By the service's clock. Raises Permanent where it does not say."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        return parsedate_to_datetime(said).astimezone(UTC)
    except ValueError:
        raise Permanent("the object store does not say what time it is") from None


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


async def open_bucket(settings: S3Settings, stack: AsyncExitStack) -> Bucket:
    """Make the client, which `stack` closes. Nothing is sent yet."""
    client = await stack.enter_async_context(_client(settings, settings.endpoint))
    public = client
    if settings.redirect_endpoint is not None:
        public = await stack.enter_async_context(_client(settings, settings.redirect_endpoint))
    return Bucket(client, public, await stack.enter_async_context(_sender(settings, client)), settings)


def _sender(settings: S3Settings, client: Any) -> AIOHTTPSession:
    """What the client has inside it, with the same trust and proxies."""
    authorities = get_session().get_config_variable("ca_bundle")
    return AIOHTTPSession(
        verify=str(settings.ca) if settings.ca is not None else authorities or True,
        proxies=get_environ_proxies(client.meta.endpoint_url),
        timeout=(_CONNECT, _ANSWER),
        max_pool_connections=settings.connections,
    )


def _client(settings: S3Settings, endpoint: str | None) -> Any:
    style = settings.path_style if settings.path_style is not None else endpoint is not None
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=_CONNECT,
        read_timeout=_ANSWER,
        max_pool_connections=settings.connections,
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if style else "auto", "payload_signing_enabled": False},
    )
    return get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        # Most stand-alone services take any region, and the signature needs one.
        region_name=settings.region or (None if endpoint is None else "us-east-1"),
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key,
        verify=str(settings.ca) if settings.ca is not None else None,
        config=config,
    )
