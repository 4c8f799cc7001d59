"""What is proposed and what is accepted: A-ASSOCIATE by pynetdicom's PDU classes, behind caps of our own."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext

from groundglass.gateway.dimse.classes import choose
from groundglass.gateway.dimse.pdu import HEADER, INVALID_VALUE, MAX_DATA_BYTES, ProtocolError

# Their lines and warnings repeat what peers send.
logging.getLogger("pydicom").disabled = True
warnings.filterwarnings("ignore", message="Invalid value for VR UI", module="pydicom")
for _name in ("", ".acse", ".dimse", ".pdu", ".pdu_items", ".pdu_primitives", ".presentation", ".utils"):
    logging.getLogger(f"pynetdicom{_name}").disabled = True

IMPLEMENTATION_CLASS_UID = "2.25.236799731914245491677872285114695565005"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
MAX_CONTEXTS = 128
_MAX_SUB_ITEMS = 16384
_ACCEPTED, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = 0, 3, 4  # PS3.8 table 9-18

_ITEM = struct.Struct(">BxH")
_FIXED_BYTES = 68  # protocol version to the last reserved byte
_APPLICATION_ITEM, _CONTEXT_ITEM = 0x10, 0x20
_UID = re.compile(rb"[0-9.]{1,64}\0?")


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An A-ASSOCIATE-RQ within the caps. `called` and `calling` are without padding, `titles` as received."""

    version: int
    called: str
    calling: str
    titles: bytes
    application_context: str
    contexts: tuple[tuple[int, str, tuple[str, ...]], ...]  # id, abstract syntax, transfer syntaxes in their order


def decode(body: bytes) -> Proposal:
    """Read an A-ASSOCIATE-RQ without its PDU header. Raises ProtocolError."""
    # pynetdicom raises on titles that are not ASCII, and user information is of no use here: it gets neither.
    essential = body[:4] + b"X" * 32 + body[36:_FIXED_BYTES] + _essential_items(body)
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(HEADER.pack(1, len(essential)) + essential)
        contexts = tuple(
            (int(item.presentation_context_id or 0), str(item.abstract_syntax), tuple(map(str, item.transfer_syntax)))
            for item in request.presentation_context
        )
        called, calling = (body[at : at + 16].decode("latin-1").strip(" \0") for at in (4, 20))
        proposal = Proposal(
            request.protocol_version, called, calling, body[4:36], str(request.application_context_name), contexts
        )
    except Exception:  # noqa: BLE001 - it raises a dozen kinds on bad input
        raise ProtocolError(INVALID_VALUE) from None
    if len({number for number, *_ in contexts}) != len(contexts):
        raise ProtocolError(INVALID_VALUE)
    return proposal


def accept(proposal: Proposal) -> tuple[bytes, dict[int, Context]]:
    """Return the A-ASSOCIATE-AC and the accepted contexts by their id."""
    accepted: dict[int, Context] = {}
    results = []
    for number, abstract_syntax, proposed in proposal.contexts:
        result, syntax = _judge(abstract_syntax, list(proposed))
        if result == _ACCEPTED:
            accepted[number] = Context(abstract_syntax, syntax)
        results.append(_result(number, abstract_syntax, syntax, result))
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(APPLICATION_CONTEXT)
    answer.called_ae_title, answer.calling_ae_title = "X", "X"
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = _ourselves()
    encoded = bytes(A_ASSOCIATE_AC(answer).encode())
    return encoded[:10] + proposal.titles + encoded[42:], accepted


def _judge(abstract_syntax: str, proposed: list[str]) -> tuple[int, str]:
    try:
        syntax = choose(abstract_syntax, proposed)
    except LookupError:
        return _NO_TRANSFER_SYNTAX, proposed[0]
    return (_ACCEPTED, syntax) if syntax else (_NO_ABSTRACT_SYNTAX, proposed[0])


def _result(number: int, abstract_syntax: str, transfer_syntax: str, result: int) -> PresentationContext:
    context = PresentationContext()
    context.context_id = number
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = [UID(transfer_syntax)]
    context.result = result
    return context


def _ourselves() -> Any:
    length = MaximumLengthNotification()
    length.maximum_length_received = MAX_DATA_BYTES
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = "GROUNDGLASS"
    return [length, implementation, version]


def _essential_items(body: bytes) -> bytes:
    """Return application context and presentation contexts, once structure, counts and UIDs are sound."""
    kinds, essential, sub_items = [], b"", 0
    for kind, value in _items(body, _FIXED_BYTES):
        kinds.append(kind)
        if kind == _APPLICATION_ITEM:
            _must_be_uid(value)
        elif kind == _CONTEXT_ITEM:
            sub_items += _check_context(value)
        else:
            continue
        essential += _ITEM.pack(kind, len(value)) + value
        if sub_items > _MAX_SUB_ITEMS:
            raise ProtocolError(INVALID_VALUE)
    if kinds.count(_APPLICATION_ITEM) != 1 or not 1 <= kinds.count(_CONTEXT_ITEM) <= MAX_CONTEXTS:
        raise ProtocolError(INVALID_VALUE)
    return essential


def _check_context(value: bytes) -> int:
    syntaxes = list(_items(value, 4))
    kinds = [kind for kind, _ in syntaxes]
    if value[0] % 2 == 0 or kinds.count(0x30) != 1 or 0x40 not in kinds:
        raise ProtocolError(INVALID_VALUE)
    for _, uid in syntaxes:
        _must_be_uid(uid)
    return len(syntaxes)


def _items(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    if at > len(body):
        raise ProtocolError(INVALID_VALUE)
    while at < len(body):
        if len(body) - at < _ITEM.size:
            raise ProtocolError(INVALID_VALUE)
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size
        if length > len(body) - at:
            raise ProtocolError(INVALID_VALUE)
        yield kind, body[at : at + length]
        at += length


def _must_be_uid(value: bytes) -> None:
    if not _UID.fullmatch(value):
        raise ProtocolError(INVALID_VALUE)
