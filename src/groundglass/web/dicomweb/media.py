"""What a DICOMweb client accepts (PS3.18 8.3.3, 8.7.3; RFC 9110 12.5.1), and which of our offers fits it best."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from groundglass.errors import GroundglassError

DICOM: Final = "application/dicom"
JSON: Final = "application/dicom+json"
OCTETS: Final = "application/octet-stream"
_EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_LONGEST_HEADER: Final = 4096
# PS3.18 table 8.7.3-5: how a frame in its stored syntax is named
_FRAME_TYPES: Final = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
_PARAMETER: Final = re.compile(r';\s*([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))')
_ELEMENT: Final = re.compile(r'(?:[^,"]|"[^"]*"?)+')


class NotAcceptableError(GroundglassError):
    """The client accepts only what we would have to transcode to, or a type that we do not make."""

    http_status = 406
    slug = "not-acceptable"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One media range of Accept. `type` is that of the parts where `multipart`; `transfer_syntax` "" when not told."""

    type: str
    multipart: bool
    transfer_syntax: str
    quality: float

    def fits(self, offer: str) -> bool:
        """Whether the type covers an offer."""
        return self.type in (offer, "", "*/*") or (self.type.endswith("/*") and offer.startswith(self.type[:-1]))

    @property
    def alone(self) -> bool:
        """Whether one object by itself is asked for, by a type and not by a wildcard."""
        return not self.multipart and "*" not in self.type


def frame_types(transfer_syntax_uid: str) -> tuple[str, ...]:
    """Return the media types under which a frame in this syntax is offered, the telling one first."""
    own = _FRAME_TYPES.get(transfer_syntax_uid)
    return (own, OCTETS) if own else (OCTETS,)


def choose(request: Request, offers: Iterable[str], transfer_syntaxes: Iterable[str]) -> tuple[str, Accepted]:
    """Return the offer that the client likes best, and the range that it fits.

    Whoever names no transfer syntax may have the stored one where the bytes tell it themselves: a DICOM file, an image.
    As application/octet-stream it would take compressed bytes for pixels, and must ask. Raises NotAcceptableError.
    """
    stored = set(transfer_syntaxes)
    types = tuple(offers)
    for one in accepted(request):
        for offer in types:
            if one.fits(offer) and _syntax_fits(one.transfer_syntax, offer, stored):
                return offer, one
    raise NotAcceptableError("nothing is transcoded here: accept the stored form by transfer-syntax=*")


def must_accept_json(request: Request) -> None:
    """Raise NotAcceptableError when the client takes no DICOM JSON (XML is not made)."""
    for one in accepted(request):
        if one.fits(JSON) or one.fits("application/json"):
            return
    raise NotAcceptableError("search results and metadata are application/dicom+json")


def accepted(request: Request) -> list[Accepted]:
    """Return the media ranges that the client accepts, best first; without a header it accepts anything."""
    given = request.query_params.get("accept") or ",".join(request.headers.getlist("accept"))
    found = [_range(one) for one in _ELEMENT.findall(given[:_LONGEST_HEADER]) if one.strip()]
    if not found:
        return [Accepted("*/*", False, "", 1.0)]
    return sorted((one for one in found if one.quality > 0), key=lambda one: -one.quality)


def _syntax_fits(asked: str, offer: str, stored: set[str]) -> bool:
    if asked == "*":
        return True
    if not asked:
        return offer != OCTETS or stored == {_EXPLICIT_LITTLE_ENDIAN}
    return stored == {asked}


def _range(text: str) -> Accepted:
    bare = text.partition(";")[0].strip().lower()
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(text)}
    multipart = bare == "multipart/related"
    return Accepted(
        parameters.get("type", "").strip().lower() if multipart else bare,
        multipart,
        parameters.get("transfer-syntax", ""),
        _quality(parameters.get("q", "1")),
    )


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 1.0
