"""Which doors may be opened where: loopback by default, wider only with what makes it safe (security.md, A1)."""

from __future__ import annotations

import ipaddress
import socket

from groundglass.config import Settings
from groundglass.errors import UnsafeStartError, UsageError


def check_http(host: str, settings: Settings) -> None:
    """Raise UnsafeStartError when HTTP would be open beyond loopback without TLS or a declared proxy."""
    if _reach(host) != "loopback" and not (settings.web.tls_certificate or settings.web.trusted_proxies):
        raise UnsafeStartError(
            f"HTTP on {host} needs web.tls_certificate and web.tls_key, or web.trusted_proxies: not started"
        )


def check_dicom(host: str, settings: Settings) -> None:
    """Raise UnsafeStartError for DICOM beyond loopback without a peer list, or in clear on a public address."""
    reach = _reach(host)
    if reach != "loopback" and not settings.gateway.allowed_aets:
        raise UnsafeStartError(f"DICOM on {host} needs a list of peers, gateway.allowed_aets: not started")
    if reach == "public" and not settings.gateway.tls_certificate:
        raise UnsafeStartError(
            f"DICOM in clear on the public address {host} is refused: set gateway.tls_certificate and gateway.tls_key"
        )


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes a free one. Raises UsageError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or 'no such address'}") from None
    return listener


def _reach(host: str) -> str:
    """Return loopback, private or public; of a name the widest of its addresses, of `any address` public."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        raise UsageError(f"{host} is not an address of this machine") from None
    reaches = {_reach_of(ipaddress.ip_address(str(address).partition("%")[0])) for address in found}
    return next(reach for reach in ("public", "private", "loopback") if reach in reaches)


def _reach_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if address.is_loopback:
        return "loopback"
    return "private" if address.is_private and not address.is_unspecified else "public"
