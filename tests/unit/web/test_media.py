"""What a client accepts, as its header says, and what it gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from groundglass.web.dicomweb import media
from groundglass.web.dicomweb.media import DICOM, OCTETS, NotAcceptableError, choose, frame_types

EXPLICIT, JPEG_LS = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"


def request(accept: str | None = None, query: str = "") -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode("latin-1"))]
    return Request({"type": "http", "headers": headers, "query_string": query.encode(), "path": "/", "method": "GET"})


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "",
        "application/*",
        'multipart/related; type="application/dicom"; transfer-syntax=*',  # dicomweb-client
        "multipart/related;type=application/dicom;transfer-syntax=*",  # OHIF leaves the quotes out
        'MULTIPART/RELATED; TYPE="Application/DICOM"',
        f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}',
        "multipart/related",
        'multipart/related; type="image/jls", multipart/related; type="application/dicom"; transfer-syntax="*"',
        "text/html, */*;q=0.1",
        "application/dicom;transfer-syntax=*;q=0.5",
    ],
)
def test_files_are_given_to_who_takes_them(accept: str | None):
    assert choose(request(accept), [DICOM], [EXPLICIT])[0] == DICOM


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/json",
        "application/dicom;q=0",
        'multipart/related; type="application/octet-stream"',
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
        'multipart/related; type="text/*"',
    ],
)
def test_files_are_not_given_to_who_does_not(accept: str):
    with pytest.raises(NotAcceptableError):
        choose(request(accept), [DICOM], [EXPLICIT])


def test_compressed_bytes_never_pass_for_pixels():
    offers = frame_types(JPEG_LS)
    with pytest.raises(NotAcceptableError):
        choose(request('multipart/related; type="application/octet-stream"'), offers, [JPEG_LS])
    assert (
        choose(request("multipart/related; type=application/octet-stream; transfer-syntax=*"), offers, [JPEG_LS])[0]
        == OCTETS
    )
    assert choose(request('multipart/related; type="*/*"'), offers, [JPEG_LS])[0] == "image/jls"
    assert choose(request('multipart/related; type="image/*"'), offers, [JPEG_LS])[0] == "image/jls"


def test_a_study_of_several_syntaxes_is_given_only_as_it_is():
    both = [EXPLICIT, JPEG_LS]
    assert choose(request('multipart/related; type="application/dicom"; transfer-syntax=*'), [DICOM], both)[0] == DICOM
    with pytest.raises(NotAcceptableError):
        choose(request(f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'), [DICOM], both)


def test_the_best_liked_comes_first():
    offer, fitting = choose(
        request("application/octet-stream;q=0.2, image/jls;q=0.9"), (OCTETS, "image/jls"), [EXPLICIT]
    )
    assert offer == "image/jls"
    assert fitting.alone
    assert not choose(request("*/*"), [DICOM], [EXPLICIT])[1].alone
    assert not choose(request('multipart/related; type="application/dicom"'), [DICOM], [EXPLICIT])[1].alone


def test_the_query_may_say_what_is_accepted():
    assert choose(request("text/html", "accept=application/dicom"), [DICOM], [EXPLICIT])[1].alone


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=300))
def test_any_header_is_understood_or_refused(text: str):
    try:
        choose(request(text), [DICOM], [EXPLICIT])
    except NotAcceptableError:
        return


def test_a_long_header_costs_little():
    for text in ("," * 60_000, '"' * 60_000, ";a=" * 20_000, 'a;b="' + "c" * 60_000):
        media.accepted(request(text))
