"""A reader of sealed stores, written from FORMAT.md and the specifications it names, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC


def open_xaes(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """XAES-256-GCM: the key of AES-GCM is CMAC(1 ‖ "X" ‖ 0 ‖ nonce) ‖ CMAC(2 ‖ "X" ‖ 0 ‖ nonce)."""
    derived = b""
    for counter in (1, 2):
        mac = CMAC(AES(key))
        mac.update(struct.pack(">H", counter) + b"X\0" + sealed[:12])
        derived += mac.finalize()
    return AESGCM(derived).decrypt(sealed[12:24], sealed[24:], associated)


def expand(key: bytes, info: bytes) -> bytes:
    return hmac.new(key, info + b"\1", hashlib.sha384).digest()


class Keys:
    """The data keys of one domain, unwrapped."""

    def __init__(self, root: Path, domain: str, kek: bytes) -> None:
        self.domain = domain.encode()
        self._keys: dict[bytes, bytes] = {}
        for path in (root / "keys" / domain).glob("*.key"):
            fields = json.loads(path.read_text("ascii"))
            assert set(fields) == {"format", "domain", "key", "created", "provider", "wrapped"}
            assert (fields["format"], fields["domain"], fields["key"]) == (1, domain, path.stem)
            name = hmac.new(kek, b"artifact-store key id", hashlib.sha256).hexdigest()[:32]
            assert fields["provider"] == "local:" + name
            key_id = bytes.fromhex(path.stem)
            associated = b"artifact-store data key 1\0" + self.domain + b"\0" + key_id
            self._keys[key_id] = open_xaes(kek, base64.b64decode(fields["wrapped"]), associated)

    def record(self, kind: int, digest: bytes, payload: bytes) -> bytes:
        """The payload of a record, unsealed."""
        key = expand(self._keys[payload[:16]], b"artifact-store records 1")[:32]
        return open_xaes(key, payload[16:], bytes([kind]) + digest + self.domain)

    def file(self, data: bytes, address: bytes) -> bytes:
        """The content of a sealed file."""
        magic, key_id, checksum, binding = struct.unpack_from("<8s16sI32s", data)
        assert magic == b"artseal\n"
        assert checksum == zlib.crc32(data[:24])
        data_key = self._keys[key_id]
        key = expand(data_key, b"artifact-store files 1")[:32]
        parameters, iv, tag = data[60:70], data[70:102], data[102:134]
        assert parameters == struct.pack(">BBII", 0, 0, 65_568, 32)
        begin = parameters + iv
        assert tag == expand(key, begin + b"HEADER_TAG:" + self.domain)[:32]
        message = expand(key, begin + b"MESSAGE_KEY:" + self.domain)
        content = b""
        body = data[134:]
        last = len(body) // 65_568
        assert len(body) - last * 65_568 >= 32
        for number in range(last + 1):
            segment = body[number * 65_568 : (number + 1) * 65_568]
            length = len(segment) if number == last else 0xFFFFFFFF
            assert struct.unpack(">I", segment[:4]) == (length,)
            turn = struct.pack(">Q", number >> 20 << 20)
            aead = AESGCM(expand(message, begin + b"DEK:" + turn + self.domain)[:32])
            place = struct.pack(">QB", number, number == last)
            content += aead.decrypt(segment[4:16], segment[16:], place)
        bound = expand(data_key, b"artifact-store addresses 1")[:32]
        assert binding == expand(bound, iv + address + struct.pack("<Q", len(content)))[:32]
        assert len(content) == 65_536 * ((len(data) - 134) // 65_568) + (len(data) - 134) % 65_568 - 32
        return content
