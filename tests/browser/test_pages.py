"""The pages in a real browser: no breach of the content policy, no other host, no sideways scrolling, both languages.

Set SCREENSHOTS to a folder to keep a picture of every page, width and theme.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import psycopg
import pytest

from support import pages as sample
from support.chromium import Chromium

WIDTHS = (320, 768, 1280)
PUBLIC = ("/", "/login", "/problems/not-found")
REGISTRY = ("/", "/etudes", "/etudes?texte=nothing", "/etudes/{uid}", "/registre", "/x")
DESK = ("/", "/quarantaine", "/quarantaine/2", "/registre")
CODES = ("unsupported_transfer_syntax", "burned_in_text", "uid_conflict", "not_dicom")

# Tables that reach out of their box where the reader cannot scroll it.
CUT_OFF = """
[...document.querySelectorAll('.table-box')].filter(
  box => box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== 'auto').length
"""


def sign_in(browser: Chromium, url: str, token: str) -> None:
    """Go through the form, as a person does."""
    browser.open(f"{url}/login")
    browser.run("document.querySelector('details').open = true")
    browser.run(f"document.getElementById('token').value = {token!r}")
    browser.run("document.getElementById('token').form.submit()")
    browser.wait_loaded()


def look_at(browser: Chromium, url: str, paths: tuple[str, ...], name: str) -> None:
    for path in paths:
        for language in ("fr", "en"):
            browser.open(f"{url}{path}{'&' if '?' in path else '?'}lang={language}")
            assert browser.run("document.documentElement.lang") == language
            assert browser.run("document.querySelectorAll('h1').length") == 1
            for width, dark in itertools.product(WIDTHS, (False, True)):
                browser.look(width=width, dark=dark)
                wide = browser.run("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} at {width} px scrolls sideways: {wide}"
                keep(browser, f"{name}{path}-{language}-{width}-{'dark' if dark else 'light'}")
                assert browser.run(CUT_OFF) == 0, f"{path} at {width} px cuts a table off"
    assert [p for p in browser.problems if "404 (Not Found)" not in p] == []
    assert {request for request in browser.requested if not request.startswith((url, "data:"))} == set()


def keep(browser: Chromium, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        plain = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
        browser.picture(Path(folder) / f"{plain}.png")


@pytest.fixture
def studies(registry_db: psycopg.Connection) -> str:
    for n in range(60):
        centre = ("CT_NORD", "CH_SUD_1", "BREST")[n % 3]
        uid = sample.add_study(registry_db, n, centre=centre, patient_id=f"FID-7A7WJZGTWT{n:06}", text="TDM THORAX")
    counts = {"received": 16762, "archived": 16000, "quarantined": 640, "duplicates": 80, "pending": 42, "withdrawn": 0}
    broken = {"received": 12, "archived": 9, "quarantined": 0, "duplicates": 0, "pending": 0, "withdrawn": 0}
    sample.add_report(
        registry_db,
        "token gateway nord",
        "NORD",
        {"CT_NORD_1": {**counts, "reasons": {CODES[0]: 600, CODES[1]: 40}}, "CT_NORD_2": {**broken, "received": 9}},
    )
    sample.add_report(registry_db, "token gateway sud", "SUD", {"CT_SUD": broken})
    registry_db.commit()
    return uid


def test_the_registry_in_both_languages_widths_and_themes(
    browser: Chromium, registry_url: str, registry_db: psycopg.Connection, studies: str
) -> None:
    look_at(browser, registry_url, PUBLIC, "public")
    sign_in(browser, registry_url, sample.token(registry_db, "curator"))
    look_at(browser, registry_url, tuple(path.format(uid=studies) for path in REGISTRY), "registry")


def test_the_desk_in_both_languages_widths_and_themes(
    browser: Chromium, desk_url: str, gateway_db: psycopg.Connection
) -> None:
    sign_in(browser, desk_url, sample.token(gateway_db, "contributor", "gateway"))
    look_at(browser, desk_url, ("/", "/quarantaine", "/registre"), "empty")
    for number in range(1, 60):
        sample.add_held(gateway_db, number, code=CODES[number % 4])
    gateway_db.commit()
    look_at(browser, desk_url, DESK, "desk")


def test_j_k_and_enter_walk_the_list(
    browser: Chromium, registry_url: str, registry_db: psycopg.Connection, studies: str
) -> None:
    sign_in(browser, registry_url, sample.token(registry_db, "curator"))
    browser.open(f"{registry_url}/etudes")
    for key in "jjk":
        browser.press(key)
    assert browser.run("document.activeElement.textContent") == "FID-7A7WJZGTWT000000"
    browser.press("j")
    assert browser.run("document.activeElement.textContent") == "FID-7A7WJZGTWT000001"
    browser.press("Enter")
    browser.wait_loaded()
    assert browser.run("location.pathname") == f"/etudes/{sample.STUDY.format(n=1)}"


def test_printed_pages_keep_the_account_and_lose_the_frame(
    browser: Chromium, registry_url: str, registry_db: psycopg.Connection, studies: str
) -> None:
    sign_in(browser, registry_url, sample.token(registry_db, "curator"))
    browser.look(width=768, media="print")
    browser.open(f"{registry_url}/registre?lang=fr")
    hidden = "[...document.querySelectorAll('.bar, .rail, .foot')].every(part => part.offsetHeight === 0)"
    assert browser.run(hidden)
    assert browser.run("document.querySelectorAll('table')[0].offsetHeight > 0")
    assert browser.run("document.documentElement.scrollWidth") <= 768
    assert browser.run(CUT_OFF) == 0
    keep(browser, "print-registre")


def test_hostile_texts_are_shown_and_never_run(
    browser: Chromium, registry_url: str, registry_db: psycopg.Connection
) -> None:
    hostile = "\"'><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">{{7*7}}"
    uid = sample.add_study(registry_db, 1, text=hostile, patient_id=hostile, sex=hostile, modality=hostile)
    registry_db.commit()
    sign_in(browser, registry_url, sample.token(registry_db, "curator"))
    for path in ("/etudes", f"/etudes/{uid}"):
        browser.open(f"{registry_url}{path}")
        assert hostile in browser.run("document.body.textContent")
        assert browser.run("document.title") != "run"
    assert browser.problems == []


def test_a_breach_of_the_policy_would_be_seen(browser: Chromium, registry_url: str) -> None:
    browser.open(f"{registry_url}/login")
    assert browser.problems == []
    browser.run(
        "document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    browser.run("document.body.setAttribute('style', 'color: red')")
    assert browser.run("window.ran") is None
    assert len(browser.problems) == 2
    assert all("Content Security Policy" in problem for problem in browser.problems)


def test_signing_out_shuts_the_pages(browser: Chromium, registry_url: str, registry_db: psycopg.Connection) -> None:
    sign_in(browser, registry_url, sample.token(registry_db, "curator"))
    browser.open(f"{registry_url}/registre")
    assert browser.run("location.pathname") == "/registre"
    browser.run("document.querySelector('form[action=\"/logout\"]').submit()")
    browser.wait_loaded()
    browser.open(f"{registry_url}/registre")
    assert browser.run("location.pathname") == "/login"
    assert browser.problems == []
