"""One connection from its first byte to its last, by the acceptor's side of PS3.8 9.2."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from groundglass.config import Gateway
from groundglass.core import logs
from groundglass.core.failpoint import failpoint
from groundglass.gateway.dimse import command, negotiation, pdu
from groundglass.gateway.dimse.arrival import Arrival
from groundglass.gateway.dimse.classes import STORAGE
from groundglass.gateway.dimse.command import Command
from groundglass.gateway.dimse.negotiation import APPLICATION_CONTEXT, Context, Proposal
from groundglass.gateway.dimse.pdu import INVALID_VALUE, UNEXPECTED, UNRECOGNISED, ProtocolError
from groundglass.gateway.dimse.peers import Peers
from groundglass.gateway.dimse.storing import Sender, Storing
from groundglass.gateway.dimse.wire import PeerGoneError, StoppingError, TooSlowError, Wire
from groundglass.gateway.spool import Record, Spool

_LOG = logs.Logger("gateway.dimse")
# Without a list, titles that could be taken for something else are refused; a listed one is taken as written.
_PLAIN_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,15}")


@dataclass(frozen=True, slots=True)
class Door:
    """What all associations of a receiver share."""

    settings: Gateway
    aet: str
    spool: Spool
    peers: Peers
    tls: ssl.SSLContext | None
    on_record: Callable[[Record], None]
    on_association: Callable[[int, bool], None]
    centre_of: Callable[[str], str | None] | None

    def listed(self) -> set[str]:
        """The AE titles that may call; empty: any, from this machine."""
        return {entry.partition("=")[0].strip() for entry in self.settings.allowed_aets}


class Association:
    """Serves one connection in the thread that calls `run`."""

    def __init__(self, door: Door, wire: Wire, *, address: str, number: int) -> None:
        self.address = address
        self._door = door
        self._wire = wire
        self._number = number
        self._contexts: dict[int, Context] = {}
        self._sender = Sender("", number)

    def cut(self) -> None:
        """End the connection, from any thread."""
        self._wire.cut()

    def run(self) -> None:
        """Serve until the end. Never raises: whatever is wrong ends this association and nothing else."""
        try:
            self._serve()
        except ProtocolError as error:
            _LOG.event("association-aborted", reason=error.reason)
            self._abort(error.reason)
        except TooSlowError:
            _LOG.event("association-too-slow")
            self._abort(0)
        except StoppingError:
            self._abort(0)
        except (PeerGoneError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - one peer's input never ends the receiver
            _LOG.failure("association-failed", error)
            self._abort(0)
        finally:
            self._wire.close()

    def _serve(self) -> None:
        if self._door.tls is not None:
            self._wire.secure(self._door.tls)
        if not self._associate():
            self._wire.linger()
            return
        self._wire.established()
        self._door.on_association(self._number, True)
        try:
            self._messages()
        finally:
            self._door.on_association(self._number, False)

    def _associate(self) -> bool:
        proposal = self._proposal()
        refusal = self._refusal(proposal)
        if refusal is None and not self._door.peers.admit(self):
            refusal = pdu.TOO_MANY
        if refusal is not None:
            _LOG.event("association-rejected", source=refusal[8], reason=refusal[9])
            self._wire.send(refusal)
            return False
        answer, self._contexts = negotiation.accept(proposal)
        self._sender = Sender(proposal.calling, self._number)
        self._wire.send(answer)
        return True

    def _proposal(self) -> Proposal:
        head = bytearray(pdu.HEADER.size)
        self._wire.read(memoryview(head))
        kind, length = pdu.HEADER.unpack(head)
        if kind == pdu.A_ABORT:
            raise PeerGoneError
        if kind != pdu.A_ASSOCIATE_RQ:
            raise ProtocolError(UNEXPECTED if 1 <= kind <= pdu.A_ABORT else UNRECOGNISED)
        if length > pdu.MAX_ASSOCIATE_BYTES:
            raise ProtocolError(INVALID_VALUE)
        body = bytearray(length)
        self._wire.read(memoryview(body))
        return negotiation.decode(bytes(body))

    def _refusal(self, proposal: Proposal) -> bytes | None:
        if not proposal.version & 1:
            return pdu.WRONG_VERSION
        if proposal.application_context != APPLICATION_CONTEXT:
            return pdu.WRONG_APPLICATION
        if proposal.called != self._door.aet:
            return pdu.NOT_OUR_NAME
        return None if self._knows(proposal.calling) else pdu.NOT_KNOWN

    def _knows(self, calling: str) -> bool:
        listed = self._door.listed()
        if listed:
            known = calling in listed
        else:
            known = _PLAIN_TITLE.fullmatch(calling) is not None and ipaddress.ip_address(self.address).is_loopback
        return known and (self._door.centre_of is None or self._door.centre_of(calling) is not None)

    def _messages(self) -> None:
        arrival = Arrival(self._wire)
        while True:
            kind = arrival.begin()
            if kind == pdu.P_DATA:
                self._message(arrival)
            elif kind == pdu.A_RELEASE_RQ:
                self._wire.send(pdu.RELEASE_RP)
                self._wire.linger()
                return
            elif kind == pdu.A_ABORT:
                return
            else:
                raise ProtocolError(UNEXPECTED)

    def _message(self, arrival: Arrival) -> None:
        number, request = self._command(arrival)
        context = self._contexts[number]
        status = _judge(request, context)
        if status != command.SUCCESS or request.field != command.C_STORE:
            if request.has_data_set:
                _receive(arrival, number, lambda _data: None, lambda: None)
        else:
            status = self._store(arrival, number, request)
        if request.field != command.C_CANCEL:
            failpoint("before-ack")
            self._wire.send(command.answer(number, request, status))

    def _store(self, arrival: Arrival, number: int, request: Command) -> int:
        storing = Storing(self._door.spool, request, self._contexts[number], self._sender)
        try:
            _receive(arrival, number, storing.add, storing.on_full)
            status, record = storing.finish()
        finally:
            storing.discard()
        if record is not None:
            self._door.on_record(record)
        return status

    def _command(self, arrival: Arrival) -> tuple[int, Command]:
        first = arrival.next(_too_long)
        body, fragment = bytes(first.data), first
        while True:
            if not fragment.is_command or fragment.context != first.context or len(body) > command.MAX_BYTES:
                raise ProtocolError(INVALID_VALUE)
            if fragment.is_last:
                break
            fragment = arrival.next(_too_long)
            body += fragment.data
        if first.context not in self._contexts:
            raise ProtocolError(INVALID_VALUE)
        return first.context, command.decode(body)

    def _abort(self, reason: int) -> None:
        try:
            self._wire.send(pdu.abort(reason))
            self._wire.linger()
        except PeerGoneError:
            return


def _judge(request: Command, context: Context) -> int:
    """Return SUCCESS if the command can be carried out, else the status to answer once its data set is skipped."""
    if request.field in (command.C_ECHO, command.C_CANCEL):
        return command.SUCCESS
    if request.field != command.C_STORE:
        return command.UNRECOGNISED_OPERATION
    if not command.is_uid(request.sop_instance_uid):
        return command.INVALID_INSTANCE
    if request.sop_class_uid.decode("latin-1") != context.abstract_syntax or context.abstract_syntax not in STORAGE:
        return command.CLASS_NOT_SUPPORTED
    return command.SUCCESS if request.has_data_set else command.CANNOT_UNDERSTAND


def _receive(arrival: Arrival, number: int, take: Callable[[memoryview], None], on_full: Callable[[], None]) -> None:
    last = False
    while not last:
        fragment = arrival.next(on_full)
        if fragment.is_command or fragment.context != number:
            raise ProtocolError(INVALID_VALUE)
        take(fragment.data)
        last = fragment.is_last


def _too_long() -> None:
    raise ProtocolError(INVALID_VALUE)
