"""Keys, UIDs, pseudonyms: deterministic, of the right form, and worth nothing without the key."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.deid import identifiers
from groundglass.deid.identifiers import Keys

KEYS = Keys.derive(bytes(range(32)), collection="fidac", centre="A")


def test_domain_keys_follow_rfc_5869() -> None:
    salt = hashlib.sha256(b"fidac\0A").digest()
    extracted = hmac.new(salt, bytes(range(32)), hashlib.sha256).digest()
    expected = hmac.new(extracted, b"groundglass/deid/1/uid\x01", hashlib.sha256).digest()
    assert KEYS.uid == expected


def test_every_domain_collection_and_centre_has_its_own_key() -> None:
    others = [Keys.derive(bytes(range(32)), collection=c, centre=s) for c, s in (("fidac", "B"), ("fida", "cA"))]
    domains = ("uid", "patient", "accession", "device", "date", "number", "report")
    found = [getattr(keys, name) for keys in (KEYS, *others) for name in domains]
    assert len(set(found)) == 21


def test_a_key_shows_in_no_repr() -> None:
    assert KEYS.uid.hex() not in repr(KEYS)
    assert repr(KEYS.uid) not in repr(KEYS)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keys.derive(bytes(length), collection="c", centre="s")


@given(st.binary(max_size=80))
def test_a_new_uid_is_valid_and_marked_version_8(uid: bytes) -> None:
    made = identifiers.new_uid(KEYS.uid, uid)
    assert len(made) <= 44
    assert made.startswith(b"2.25.")
    assert not made[5:].startswith(b"0")
    number = int(made[5:])
    assert number >> 76 & 0xF == 8
    assert number >> 62 & 3 == 2
    assert made == identifiers.new_uid(KEYS.uid, uid.rstrip(b"\0 ") + b"\0")


def test_another_key_has_nothing_in_common() -> None:
    other = Keys.derive(bytes(32), collection="fidac", centre="A")
    for value in (b"1.2.3", b"1.2.4"):
        assert identifiers.new_uid(KEYS.uid, value) != identifiers.new_uid(other.uid, value)
    person = identifiers.patient_key("", "123")
    assert identifiers.pseudonym(KEYS, person, prefix="") != identifiers.pseudonym(other, person, prefix="")


@given(st.text(min_size=1, max_size=40), st.text(max_size=10))
def test_a_pseudonym_is_sixteen_letters_and_digits(patient_id: str, issuer: str) -> None:
    made = identifiers.pseudonym(KEYS, identifiers.patient_key(issuer, patient_id), prefix="FID-")
    assert len(made) == 20
    assert set(made[4:]) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_spaces_and_case_do_not_make_another_person_but_zeros_and_issuers_do() -> None:
    key = identifiers.patient_key
    assert key("CHU", " ab 12 ") == key("chu", "AB12")
    assert len({key("", "012"), key("", "12"), key("X", "12"), key("1", "2")}) == 4


@pytest.mark.parametrize(
    "value", ["", "  ", "0", "0000", "XXXX", "unknown", "Inconnu", "ANONYMOUS", "test", "N/A", "-"]
)
def test_placeholders_name_nobody(value: str) -> None:
    assert identifiers.is_placeholder(value)


@pytest.mark.parametrize("value", ["12", "TEST001", "A046441", "0001", "Lung_Dx-A0001"])
def test_other_ids_name_someone(value: str) -> None:
    assert not identifiers.is_placeholder(value)


def test_short_values_stay_within_sh_and_five_digits() -> None:
    assert len(identifiers.accession(KEYS, "ACC-1")) == 16
    assert len(identifiers.device(KEYS, "GE", "SN1")) == 16
    assert 10_000 <= identifiers.small_number(KEYS, b"123456789") < 100_000


@pytest.mark.parametrize("uid", [b"", b"../../etc", b"1.2/3", b"1.2\n3", b"1" * 65, b"1.2.a"])
def test_what_is_not_a_uid_is_told(uid: bytes) -> None:
    assert not identifiers.is_uid(uid)
