"""The bytes of one connection, with the clocks that keep a slow or silent peer from holding it."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass

_TICK_SECONDS = 0.5  # how often a waiting thread looks at its clocks
_SEND_SECONDS = 10
_LINGER_SECONDS = 2.0
_TIMEVAL = struct.Struct("ll")
FLOOR_BYTES_PER_SECOND = 1024


class PeerGoneError(Exception):
    """The peer closed, or the connection broke."""


class TooSlowError(Exception):
    """The peer was silent too long, or sent below the floor."""


class StoppingError(Exception):
    """The receiver is stopping."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: silence allowed between messages, and over how long the floor of a message under way is measured."""

    idle: float
    window: float


class Wire:
    """Reads exact numbers of bytes. Not thread-safe, except `cut`."""

    def __init__(self, sock: socket.socket, *, clocks: Clocks, stop: threading.Event, deadline: float) -> None:
        self._sock = sock
        self._clocks = clocks
        self._stop = stop
        self._deadline: float | None = deadline
        self._since = time.monotonic()
        self._got = 0
        self._flags = int(socket.MSG_WAITALL)
        self._prepare()

    def secure(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake as the server. Raises OSError (ssl.SSLError among them)."""
        left = max((self._deadline or 0) - time.monotonic(), 0.001)
        self._sock = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        self._sock.settimeout(left)
        self._sock.do_handshake()
        self._sock.settimeout(_TICK_SECONDS)
        self._flags = 0

    def established(self) -> None:
        """From now on the idle time and the floor hold, not the time to associate."""
        self._deadline = None

    def read(self, view: memoryview, *, idle: bool = False) -> None:
        """Fill `view`. `idle`: a message may begin, or not. Raises PeerGoneError, TooSlowError, StoppingError."""
        if idle:
            self._restart()
        got, wanted = 0, len(view)
        while got < wanted:
            try:
                received = self._sock.recv_into(view[got:], wanted - got, self._flags)
            except (BlockingIOError, TimeoutError):
                self._check(idle=idle and got == 0)
                continue
            except OSError:
                raise PeerGoneError from None
            if received == 0:
                raise PeerGoneError
            if idle and got == 0:
                self._restart()
            got += received
            self._got += received
        if self._deadline is not None or time.monotonic() - self._since > self._clocks.window:
            self._check(idle=False)

    def send(self, message: bytes) -> None:
        """Send a whole message in one call. Raises PeerGoneError."""
        try:
            self._sock.sendall(message)
        except OSError:
            raise PeerGoneError from None

    def linger(self) -> None:
        """End our side and wait a moment for the peer to close: closing on unread bytes would undo what was sent."""
        scrap = bytearray(65536)
        until = time.monotonic() + _LINGER_SECONDS
        try:
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(_LINGER_SECONDS)
            while time.monotonic() < until and self._sock.recv_into(scrap):
                pass
        except OSError:
            return

    def cut(self) -> None:
        """End every read and write, from any thread."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def _prepare(self) -> None:
        # Timeouts of the kernel: one system call a read, where a Python timeout costs two.
        self._sock.settimeout(None)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tick = _TIMEVAL.pack(int(_TICK_SECONDS), int(_TICK_SECONDS % 1 * 1_000_000))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(_SEND_SECONDS, 0))

    def _restart(self) -> None:
        self._since = time.monotonic()
        self._got = 0

    def _check(self, *, idle: bool) -> None:
        now = time.monotonic()
        if self._deadline is not None:
            self._check_deadline(now, self._deadline)
        elif idle:
            self._check_idle(now)
        elif now - self._since > self._clocks.window:
            if self._got < FLOOR_BYTES_PER_SECOND * (now - self._since):
                raise TooSlowError
            self._restart()

    def _check_deadline(self, now: float, deadline: float) -> None:
        if self._stop.is_set():
            raise StoppingError
        if now > deadline:
            raise TooSlowError

    def _check_idle(self, now: float) -> None:
        if self._stop.is_set():
            raise StoppingError
        if now - self._since > self._clocks.idle:
            raise TooSlowError
