"""What is accepted of a proposal, and what of it is not even looked at."""

from __future__ import annotations

import contextlib
import struct
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC

from groundglass.demo.sender import EXPLICIT_LITTLE_ENDIAN, Peer, associate_request
from groundglass.gateway.dimse import negotiation
from groundglass.gateway.dimse.classes import STORAGE, TRANSFER_SYNTAXES, VERIFICATION
from groundglass.gateway.dimse.pdu import ProtocolError

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, JPEG_LS = "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.80"


def body(contexts: dict[tuple[str, str], int] | None = None, **names: str) -> bytes:
    return associate_request(Peer("", 0, **names), contexts or {(CT, EXPLICIT_LITTLE_ENDIAN): 1})[6:]


def with_contexts(*contexts: tuple[int, str, list[str]]) -> bytes:
    """Return a proposal where one context may have several transfer syntaxes."""
    items = b""
    for number, abstract, syntaxes in contexts:
        inner = bytes([number, 0, 0, 0]) + _item(0x30, abstract.encode())
        items += _item(0x20, inner + b"".join(_item(0x40, syntax.encode()) for syntax in syntaxes))
    whole = body()
    start = whole.index(b"\x20\0", 68)
    end = start + 4 + struct.unpack_from(">H", whole, start + 2)[0]
    return whole[:start] + items + whole[end:]


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def answer(request: bytes) -> tuple[dict[int, int], dict[int, negotiation.Context]]:
    encoded, contexts = negotiation.accept(negotiation.decode(request))
    reply = A_ASSOCIATE_AC()
    reply.decode(encoded)
    return {item.presentation_context_id: item.result for item in reply.presentation_context}, contexts


def test_names_and_contexts_are_read() -> None:
    proposal = negotiation.decode(body(calling="CT 1", called="GG"))
    assert (proposal.calling, proposal.called, proposal.version) == ("CT 1", "GG", 1)
    assert proposal.contexts == ((1, CT, (EXPLICIT_LITTLE_ENDIAN,)),)


def test_the_first_proposed_syntax_that_is_taken_is_accepted() -> None:
    results, contexts = answer(with_contexts((1, CT, ["1.2.3.4", JPEG_LS, EXPLICIT_LITTLE_ENDIAN, IMPLICIT])))
    assert results == {1: 0}
    assert contexts == {1: negotiation.Context(CT, JPEG_LS)}


def test_unknown_classes_and_syntaxes_are_refused_one_by_one() -> None:
    results, contexts = answer(
        with_contexts((1, "1.2.3", [IMPLICIT]), (3, CT, ["1.2.3.4"]), (5, CT, [IMPLICIT]), (7, VERIFICATION, [JPEG_LS]))
    )
    assert results == {1: 3, 3: 4, 5: 0, 7: 4}
    assert set(contexts) == {5}


def test_queries_and_retrieval_are_no_service_of_this_door() -> None:
    find, move = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
    assert answer(with_contexts((1, find, [IMPLICIT]), (3, move, [IMPLICIT])))[0] == {1: 3, 3: 3}


@pytest.mark.parametrize("syntax", sorted(TRANSFER_SYNTAXES))
def test_every_usual_transfer_syntax_is_taken(syntax: str) -> None:
    assert answer(with_contexts((1, CT, [syntax])))[1][1].transfer_syntax == syntax


def test_every_storage_class_is_taken() -> None:
    names = {"2": "CT", "128": "PET", "3": "US multi-frame, retired", "88.11": "SR", "104.1": "PDF", "7": "capture"}
    assert {f"1.2.840.10008.5.1.4.1.1.{end}" for end in names} <= STORAGE
    assert len(STORAGE) > 150
    assert VERIFICATION not in STORAGE


@pytest.mark.parametrize("odd", ["JPEG LS", "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1"])
def test_what_carries_no_object_is_not(odd: str) -> None:
    assert odd not in TRANSFER_SYNTAXES


def test_a_uid_with_a_trailing_null_is_understood() -> None:
    assert answer(with_contexts((1, CT + "\0", [IMPLICIT + "\0"])))[1] == {1: negotiation.Context(CT, IMPLICIT)}


BROKEN = {
    "empty": b"",
    "fixed part only": body()[:68],
    "cut": body()[:-1],
    "no context": with_contexts(),
    "129 contexts": with_contexts(*((2 * n % 256 + 1, CT, [IMPLICIT]) for n in range(129))),
    "the same id twice": with_contexts((1, CT, [IMPLICIT]), (1, CT, [IMPLICIT])),
    "an even id": with_contexts((2, CT, [IMPLICIT])),
    "no transfer syntax": with_contexts((1, CT, [])),
    "a path for a class": with_contexts((1, "../../x", [IMPLICIT])),
    "a path for a syntax": with_contexts((1, CT, ["/etc/passwd"])),
    "an empty class": with_contexts((1, "", [IMPLICIT])),
    "20,000 syntaxes": with_contexts(*((2 * n + 1, CT, ["1"] * 2000) for n in range(10))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_proposal_is_a_protocol_error(name: str) -> None:
    with pytest.raises(ProtocolError):
        negotiation.decode(BROKEN[name])


@given(st.data())
def test_no_mutation_raises_anything_else(data: st.DataObject) -> None:
    mutated = bytearray(body())
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        negotiation.accept(negotiation.decode(bytes(mutated)))


def test_a_hostile_title_is_only_text() -> None:
    for title, n in zip(("../../x", "é" * 16, "\x01\x02", "A\\B"), count()):
        raw = bytearray(body())
        raw[20:36] = title.encode("latin-1").ljust(16)[:16]
        assert negotiation.decode(bytes(raw)).calling == title.strip(), n
