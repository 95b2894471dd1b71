"""The ciphers: published vectors, and that nothing changed is ever opened."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.dataplane.sealing.floe import HEADER, OVERHEAD, Floe
from registry.dataplane.sealing.xaes import NONCE, Unauthentic, Xaes

#: Known answers published with the FLOE specification: segment length, key rotation, ciphertext, content. The
#: key is 32 zero bytes, the associated data "This is AAD".
KNOWN = {
    "go_GCM256_IV256_64": (
        64,
        20,
        "00000000004000000020b57c157a4855bdb2500cf55af49648e0fea0bfbac93407bc6b4fca9c471b018f869339a3ecce"
        "c33fe43c2e124caadbf083e53390f9b2f1cd5d612cd50f2592affffffffff10bc888c8e6f0c6308feb9143a161347a94"
        "ac632e2381acb5f2fca4b554bc0a2eb47bfea26edda9ec26298b797ebda8571cb28e1d9ccb59687c2e78ffffffff829f"
        "847d58257efdd08766aebb6ada17795c39605acbc683928f2e7e822916147be7af0aa19f1d7e32b3d9038ee437dc566c"
        "f8980df2b85e9037a19d000000236ddde6266ddd8519ccb76228f4929eca37ca5c2df92a1b2004d615f191ad7d",
        "b7f54726b914b689881ab315b032a633b452c1c59a43f430c1cc00a39d1a5eb4773dbc6b5f26255e0d3714694c9c9ffb"
        "fa8adb998aecbb0601a4cade83764b8b13ccaa",
    ),
    "cpp_GCM256_IV256_64": (
        64,
        20,
        "000000000040000000209eef02903a6248efbbc28bb5fe9f26386dda29381ff7146fe7e55e6a7cceafe47fea15db0e6f"
        "0f2d76c6de30b075a3445629cd6d214246252c84c3bfbaf76dc1ffffffff8e5070ba681c6a2c99ef167ff48662044dfd"
        "427501b0effe93ff28f53d7d324232d8bc58c91956af83e89e91f4ceccbeef54beab0d18ba4041372e21ffffffffd61e"
        "ff19b2d45021936d07e0e58cf65d8ee1b905937569fc10d688728212ae82f136a1db99306fef949b66ec63df7173be1f"
        "75bf142679a165ebfc5f000000231c1b027633b3086b58e62358306d4c8b80bcdccff7f70b0f231ab5c2e3ed33",
        "2a6894f4dbd2921bfdbbb24137fbbba2a104edc4bb26c6aa7ae5e2882d3f8fc424475ae89b2f44ca8adc40c87c96da23"
        "9f5c24a31335dfdce74d05f75d22c5de9010b0",
    ),
    "java_lastSegEmpty": (
        40,
        20,
        "00000000002800000020e4fd1738289ec2a831a32ff254bc176033f565de7f15928355b3a8bb4694a67b3e5dbb9e3bb6"
        "608743b2451f6fd129a31d83b455a67eaf11be3b882dd8d3b10fffffffff1fdfeebb9f3d2c4af5f556e481d8c73c8ad1"
        "286a4a2cf73580f5eef7cd20922b5c430ddbffffffff777bc2da2eb1d497f77657cc4eb211fa9c5280b1f0cab8d6c9c3"
        "4a81c37140079c3d5cb1000000201832f5ffdd0e8529483ee8032c2fcd25779ddf459dcdd57fb3ba8d80",
        "b83fb512012054a0195ff30074ebd4a8",
    ),
    "java_lastSegAligned": (
        40,
        20,
        "00000000002800000020ea1abfaa4f4aeb96c152ae87eace05f91ad5e1a7f4bec7dc92b79e6ea9d925cd29315fb4c1c3"
        "034c71162de9eede6095147a37171b78d0316f25d0124a04d8deffffffffa3b026ca128af0b79bafb550f9d298864fc5"
        "a413355c17d822e0acf6a78b6ae25b5df56600000028a34316dedf6ccc1a96d6de3e1d612b36b43a025b429dc539b96c"
        "a79bca0eb4ab0d3b0412",
        "935e679e8deaeecc300777f90606d92c",
    ),
    "java_rotation": (
        40,
        2,
        "00000000002800000020bcff1ac58da5913ecd816a609cd111829060413f4e6fc975fcd7924865bf57e8ce413a982032"
        "7c6cb03a613b9208bdcb8941c3b9ed7698a47cbf540ff20dbe7effffffff1d46a3b8256de57fd4cc768c57f1eb0d04da"
        "ff23edf52629979c06e55a8c3a188252d159ffffffff122818aa0f01912d473e414ca6b16009cdcf437802aa7f7abcc6"
        "aa0e0567b55027f26fc2ffffffff7b3c05915ff86d433f96fe003e0874666c0691cbdf827702927f46d072bf40e82e0c"
        "1d01ffffffff138c8a17e461985bbd1952fc8fcdf0470ab8bc3dfef8413e7fef8e18e592c7697a2814c7ffffffff1851"
        "eb4596328bb46f8e1f51a8079590fef03a2dd36175ead47fc2de8d3d7eb2c24e829cffffffff2a0b2ea2edb81889b8ba"
        "78cea4a1090ba759de7e2ed660e01530729f5e2e8a39fe34435effffffff5681b49f7e01cc19aeec4858e607443239b2"
        "e7ade1f8beeb8833a9640fa0a9d3f8a5617effffffff5517335d118b8c5fd8b7e1a45ca801338778dd451ff2175b168f"
        "77d8deeac011a12cfcd4ffffffff38fd26287078599380825bc5e6a58c232147603721a76475b3b110dbb7e9a53ef815"
        "468effffffff905ea3ae3074a8f1548185dd9bf11ced3cd3bce3e0c0e5f1d331136da1db68874a99a0e500000023f837"
        "01a68fb679ad1d8fd4c3b9721bd8df4f1c6acd466a4b110a6f7a90b8b0",
        "1c79058d26a13b0cac41256ca000c75b8938f2378c76e2d01308d9a9e2240ea4d30086565a748049fa45efcbdaf51c31"
        "7f3f403747b09f856e4e516624906a347a2bae2a5079576eb340ac4367611439c40d54",
    ),
}


def open_all(floe: Floe, key: bytes, associated: bytes, data: bytes) -> bytes:
    message = floe.open(key, associated, data[:HEADER])
    body = memoryview(data)[HEADER:]
    segments = [body[at : at + floe.segment] for at in range(0, len(body), floe.segment)]
    last = len(segments) - 1
    return b"".join(message.open(number, part, number == last) for number, part in enumerate(segments))


def seal_all(floe: Floe, key: bytes, associated: bytes, data: bytes) -> bytes:
    message, header = floe.begin(key, associated)
    full = len(data) // floe.content
    parts = [data[at * floe.content : (at + 1) * floe.content] for at in range(full + 1)]
    return header + b"".join(message.seal(at, part, at == full) for at, part in enumerate(parts))


@pytest.mark.parametrize("name", KNOWN)
def test_floe_opens_what_others_sealed(name: str) -> None:
    segment, rotation, sealed, content = KNOWN[name]
    found = open_all(Floe(segment, rotation), bytes(32), b"This is AAD", bytes.fromhex(sealed))
    assert found.hex() == content


SMALL = Floe(40, 1)


@given(st.binary(max_size=50), st.data())
def test_floe_opens_what_it_sealed_and_nothing_else(content: bytes, data: st.DataObject) -> None:
    key = os.urandom(32)
    sealed = seal_all(SMALL, key, b"a", content)
    assert open_all(SMALL, key, b"a", sealed) == content
    position = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    cut = sealed[: data.draw(st.integers(HEADER + OVERHEAD, len(sealed)))]
    for wrong in (bytes(flipped), sealed + b"\0", *([cut] if cut != sealed else [])):
        with pytest.raises(Unauthentic):
            open_all(SMALL, key, b"a", wrong)
    for other_key, other_data in ((bytes(32), b"a"), (key, b"b")):
        with pytest.raises(Unauthentic):
            open_all(SMALL, other_key, other_data, sealed)


def test_floe_segments_stay_where_they_were_sealed() -> None:
    message, _ = SMALL.begin(bytes(32), b"")
    other, _ = SMALL.begin(bytes(32), b"")
    segment = memoryview(message.seal(3, b"12345678", False))
    assert message.open(3, segment, False) == b"12345678"
    for at in (0, 2, 4):
        with pytest.raises(Unauthentic):
            message.open(at, segment, False)
    with pytest.raises(Unauthentic):
        message.open(3, segment, True)
    with pytest.raises(Unauthentic):
        other.open(3, segment, False)
    assert message.seal(3, b"12345678", False)[4:] != segment[4:]


@pytest.mark.parametrize(
    ("key", "associated", "sealed"),
    [
        (b"\1", b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\3", b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_xaes_seals_as_its_specification_says(key: bytes, associated: bytes, sealed: str) -> None:
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    found = Xaes(key * 32).seal(b"XAES-256-GCM", associated, nonce)
    assert found == nonce + bytes.fromhex(sealed)
    assert Xaes(key * 32).open(found, associated) == b"XAES-256-GCM"


def test_xaes_over_many_messages() -> None:
    """The accumulated vector of the specification, 10,000 messages."""
    stream = hashlib.shake_128(b"").digest(10_000 * 600)
    at, total = 0, hashlib.shake_128()

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return stream[at - length : at]

    for _ in range(10_000):
        key, nonce = take(32), take(NONCE)
        data = take(take(1)[0])
        associated = take(take(1)[0])
        total.update(Xaes(key).seal(data, associated, nonce)[NONCE:])
    assert total.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@given(st.binary(max_size=50), st.data())
def test_xaes_opens_nothing_that_was_changed(content: bytes, data: st.DataObject) -> None:
    xaes = Xaes(os.urandom(32))
    sealed = xaes.seal(content, b"a")
    assert xaes.open(sealed, b"a") == content
    flipped = bytearray(sealed)
    flipped[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for wrong in (bytes(flipped), sealed + b"\0", cut):
        with pytest.raises(Unauthentic):
            xaes.open(wrong, b"a")
    with pytest.raises(Unauthentic):
        xaes.open(sealed, b"b")
