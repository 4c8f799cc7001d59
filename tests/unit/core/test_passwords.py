"""What may be a password, and that nothing tells an unknown account from a wrong password."""

from __future__ import annotations

import statistics
import time

import pytest
from argon2 import extract_parameters

from groundglass.core.accounts import passwords
from groundglass.errors import UsageError

GOOD = "lanterne velours 48 orage"


@pytest.mark.parametrize("password", [GOOD, "un chat dort sous le pont", "τρία λευκά άλογα", "x7!k2Qw9zRt4vB1m"])
def test_words_that_nobody_tries_first_are_taken(password: str) -> None:
    passwords.check(password, name="martin", admin=True)


@pytest.mark.parametrize(
    "password",
    [
        *("", "short", "only14letters!", "x" * 257, "aaaaaaaaaaaaaaaaaaaa", "abababababababababab"),
        *("passwordpassword", "Password123456789", "motdepassemotdepasse", "azertyuiopqsdfghjklm", "1234567890123456"),
        *("groundglass2020!!", "martinmartinmartin", "MARTIN-covid-2020", "administrateur1234", "AzertyAzerty1234"),
    ],
)
def test_what_everybody_tries_first_is_refused(password: str) -> None:
    with pytest.raises(UsageError) as caught:
        passwords.check(password, name="martin", admin=False)
    assert not password or password not in str(caught.value)


def test_an_administrator_needs_one_more_character() -> None:
    fifteen = "velours orage 4"
    passwords.check(fifteen, name="x", admin=False)
    with pytest.raises(UsageError, match="16 to 256"):
        passwords.check(fifteen, name="x", admin=True)


def test_a_hash_is_argon2id_with_at_least_46_mib() -> None:
    kept = passwords.hashed(GOOD)
    for one in (kept, passwords.UNKNOWN):
        parameters = extract_parameters(one)
        assert parameters.type.name == "ID"
        assert parameters.memory_cost >= 46 * 1024
        assert not passwords.is_outdated(one)
    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, GOOD + "x")
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches("not a hash", GOOD)


def test_an_unknown_account_takes_as_long_as_a_known_one() -> None:
    kept = passwords.hashed(GOOD)
    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(16):
        known = turn % 2 == 0
        start = time.process_time()
        passwords.matches(kept if known else None, "wrong password here")
        took[known].append(time.process_time() - start)
    assert statistics.median(took[False]) > 0.7 * statistics.median(took[True])


def test_a_made_up_password_is_one() -> None:
    made = {passwords.generated() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check(password, name="admin", admin=True)
