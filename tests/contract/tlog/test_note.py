"""Signed notes, with the keys and texts that Go's implementation of them documents."""

from __future__ import annotations

import base64

import pytest
from sigstore._internal.rekor.checkpoint import SignedCheckpoint

from registry.contract.tlog import ed25519, note
from registry.contract.tlog.note import Checkpoint, NoteError

#: The example of golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
#: The example of the checkpoint's specification.
EXAMPLE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
KEY = ed25519.signer(ed25519.new_key(), "example.com/log")
HEAD = Checkpoint("example.com/log", 7, bytes(range(32)))


def test_a_published_signature_verifies() -> None:
    key = ed25519.verifier(NEUMANN)
    raw = base64.b64decode(SIGNATURE)
    assert raw[:4] == key.key_id == bytes.fromhex("c74f20a3")
    assert key.verifies(TEXT, raw[4:])
    assert not key.verifies(TEXT[:-1], raw[4:])
    assert str(key) == NEUMANN


def test_the_specifications_example_is_read() -> None:
    signed = note.read(EXAMPLE.encode())
    assert (signed.checkpoint.origin, signed.checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert signed.checkpoint.text == signed.text
    assert [one.name for one in signed.signatures] == ["example.com/behind-the-sofa"]


def test_what_is_written_is_read_and_verified() -> None:
    data = note.write(HEAD, KEY)
    signed = note.read(data)
    assert signed.checkpoint == HEAD
    note.verify(signed, ed25519.verifier(str(KEY.public)))


def test_another_implementation_reads_what_is_written() -> None:
    read = SignedCheckpoint.from_text(note.write(HEAD, KEY).decode())
    assert (read.checkpoint.origin, read.checkpoint.log_size) == (HEAD.origin, HEAD.size)
    assert read.checkpoint.log_hash == HEAD.root.hex()
    (signature,) = read.signed_note.signatures
    assert (signature.name, signature.sig_hash) == (KEY.name, KEY.key_id)
    assert KEY.public.verifies(HEAD.text.encode(), base64.b64decode(signature.signature))


def test_another_key_and_another_text_are_refused() -> None:
    signed = note.read(note.write(HEAD, KEY))
    stranger = ed25519.signer(ed25519.new_key(), KEY.name)
    with pytest.raises(NoteError, match=f"not by {KEY.name}"):
        note.verify(signed, stranger.public)
    forged = note.read(note.write(HEAD, KEY).replace(b"\n7\n", b"\n8\n"))
    with pytest.raises(NoteError, match="forged or damaged"):
        note.verify(forged, KEY.public)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "torn"),
        (EXAMPLE.encode()[:-1], "torn"),
        (EXAMPLE.encode()[:-40], "torn"),
        (EXAMPLE.encode().partition("—".encode())[0], "torn"),
        (EXAMPLE.replace("20852163", "020852163").encode(), "no size"),
        (EXAMPLE.replace("20852163", "-1").encode(), "no size"),
        (EXAMPLE.replace("CsUYa", "CsUY").encode(), "no root"),
        (EXAMPLE.replace("20852163\n", "").encode(), "no origin, size and root"),
        (EXAMPLE.replace("sofa\n", "sofa\r\n").encode(), "control characters"),
        (EXAMPLE.replace("Az3g", "A!3g").encode(), "no signature"),
        (EXAMPLE.encode("utf-16"), "not text"),
        (EXAMPLE.encode() * 1000, "larger"),
    ],
)
def test_what_is_torn_or_strange_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        note.read(data)


@pytest.mark.parametrize("text", ["", "x", NEUMANN[:-4], NEUMANN.replace("c74f20a3", "c74f20a4")])
def test_a_damaged_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError, match=r"verifier key|damaged"):
        ed25519.verifier(text)


def test_a_private_key_must_be_one_of_ed25519() -> None:
    with pytest.raises(NoteError, match="no private key"):
        ed25519.signer("nothing", "x")
