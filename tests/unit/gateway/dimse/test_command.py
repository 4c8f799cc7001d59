"""Commands are read strictly and answered in full."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.demo import sender
from groundglass.gateway.dimse import command
from groundglass.gateway.dimse.pdu import ProtocolError

CT, SOP = sender.CT_IMAGE_STORAGE.encode(), b"2.25.1"


def test_a_store_request_is_read() -> None:
    read = command.decode(sender.store_command(7, CT, SOP))
    assert (read.field, read.message, read.has_data_set) == (command.C_STORE, 7, True)
    assert (read.sop_class_uid, read.sop_instance_uid) == (CT, SOP)


def test_an_echo_request_has_no_data_set() -> None:
    read = command.decode(sender.echo_command(3))
    assert (read.field, read.has_data_set, read.sop_instance_uid) == (command.C_ECHO, False, b"")


def test_the_answer_names_the_request_and_carries_the_status() -> None:
    answer = command.answer(5, command.decode(sender.store_command(7, CT, SOP)), command.OUT_OF_RESOURCES)
    assert sender.status_of(answer) == 0xA700
    assert struct.unpack_from(">BxI", answer) == (4, len(answer) - 6)
    assert struct.unpack_from(">IBB", answer, 6) == (len(answer) - 10, 5, 3)
    body = answer[12:]
    assert struct.unpack_from("<I", body, 8)[0] == len(body) - 12
    assert b"\0\0\0\1\2\0\0\0\1\x80" in body  # (0000,0100) = 0x8001
    assert b"\0\0\x20\1\2\0\0\0\7\0" in body  # (0000,0120) = 7
    assert SOP in body


def test_an_identifier_that_is_none_is_not_echoed() -> None:
    read = command.decode(sender.store_command(7, CT, b"../../etc/passwd"))
    assert b"passwd" not in command.answer(1, read, command.INVALID_INSTANCE)


@pytest.mark.parametrize("uid", [b"1", b"1.2.840.10008.1", b"9" * 64])
def test_a_uid_is_digits_and_dots(uid: bytes) -> None:
    assert command.is_uid(uid)


@pytest.mark.parametrize("uid", [b"", b"../../x", b"1.2/3", b"1.2\0.3", b"1.2\n", b"9" * 65, "１.2".encode(), b"1 2"])
def test_what_is_no_uid_is_refused(uid: bytes) -> None:
    assert not command.is_uid(uid)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        sender.store_command(7, CT, SOP)[:-1],
        sender.store_command(7, CT, SOP)[:20],
        b"\x08\0\0\0\4\0\0\0abcd",
        b"\0\0\0\1\xff\xff\xff\xff",
        sender.store_command(7, CT, SOP).replace(b"\0\0\0\1\2\0\0\0\1\0", b"\0\0\0\1\2\0\0\0\1\x80"),
    ],
    ids=["empty", "stub", "short", "cut", "group 8", "length beyond", "a response"],
)
def test_a_broken_command_ends_the_association(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        command.decode(body)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        command.decode(body)
