"""Tokens, sessions, throttling, centres: whoever should not enter does not (A12)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from groundglass import config
from groundglass.core import accounts, audit, database
from groundglass.core.accounts import passwords, throttle
from groundglass.errors import ConflictError, NotFoundError, NotSignedInError, UsageError

PASSWORD = "lanterne velours 48 orage"


@pytest.fixture
def db(registry_db: psycopg.Connection) -> psycopg.Connection:
    return registry_db


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing as it is costs 0.1 s; only its own tests need that."""
    hasher = passwords.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)


def person(conn: psycopg.Connection, name: str = "martin", role: accounts.Role = "curator") -> accounts.Account:
    account = accounts.create_account(conn, name, role=role, password=PASSWORD)
    conn.commit()
    return account


def actions(conn: psycopg.Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT action FROM event ORDER BY id")]


# Tokens


def test_a_token_names_its_account_and_is_kept_as_a_hash(db: psycopg.Connection) -> None:
    token = accounts.issue_token(db, role="contributor", zone="registry", centre="C001")
    account = accounts.by_token(db, token)
    assert (account.role, account.centre) == ("contributor", "C001")
    kept = db.execute("SELECT hash, last_used_at IS NOT NULL FROM token").fetchone()
    assert kept == (hashlib.sha256(token.encode()).digest(), True)
    assert token.startswith("gg_")
    assert len(token) == 46
    assert actions(db) == ["centre.create", "account.create", "token.issue"]
    assert audit.verify(db) is None


def test_tokens_of_one_role_and_centre_share_an_account(db: psycopg.Connection) -> None:
    first, second = (accounts.issue_token(db, role="curator", zone="registry") for _ in range(2))
    assert first != second
    assert accounts.by_token(db, first) == accounts.by_token(db, second)
    other = accounts.issue_token(db, role="curator", zone="registry", name="robot")
    assert accounts.by_token(db, other).name == "robot"


def test_a_name_is_not_given_to_another_role_or_centre(db: psycopg.Connection) -> None:
    accounts.issue_token(db, role="curator", zone="registry", name="robot")
    for role, centre in (("admin", None), ("curator", "C1")):
        with pytest.raises(ConflictError):
            accounts.issue_token(db, role=role, zone="registry", name="robot", centre=centre)


@pytest.mark.parametrize("role", ["gateway", "curator", "researcher", "committee", "custodian", "auditor"])
def test_the_gateway_has_doors_for_two_roles_only(db: psycopg.Connection, role: accounts.Role) -> None:
    with pytest.raises(UsageError):
        accounts.issue_token(db, role=role, zone="gateway")


def test_lives(db: psycopg.Connection) -> None:
    accounts.issue_token(db, role="gateway", zone="registry")
    accounts.issue_token(db, role="curator", zone="registry")
    days = db.execute("SELECT extract(day FROM expires_at - created_at)::int FROM token ORDER BY id").fetchall()
    assert days == [(365,), (90,)]
    for bad in (0, -1, 4000):
        with pytest.raises(UsageError):
            accounts.issue_token(db, role="curator", zone="registry", days=bad)


ENDS: dict[str, Callable[[psycopg.Connection], object]] = {
    "expired": lambda conn: conn.execute("UPDATE token SET created_at = '2020-01-01', expires_at = now()"),
    "revoked": lambda conn: accounts.revoke_token(conn, 1, by="admin"),
    "disabled": lambda conn: accounts.disable_account(conn, "token curator", by="admin"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_token_that_ended_opens_nothing_nor_does_its_session(
    db: psycopg.Connection, end: Callable[[psycopg.Connection], object]
) -> None:
    token = accounts.issue_token(db, role="curator", zone="registry")
    session = accounts.session_for_token(db, token)
    assert accounts.by_session(db, session) == accounts.by_token(db, token)
    db.commit()
    end(db)
    db.commit()
    with pytest.raises(NotSignedInError):
        accounts.by_token(db, token)
    with pytest.raises(NotSignedInError):
        accounts.by_session(db, session)
    with pytest.raises(NotSignedInError):
        accounts.session_for_token(db, token)


def hostile(token: str) -> list[str]:
    return [
        *("", " ", "gg_", token[:-1], token + "x", token.upper(), f" {token}", f"{token}\n", token.replace("gg_", "")),
        *("gg_" + "A" * 43, "gg_" + "%" * 43, "' OR 1=1 --", "\0", "\ud800", "é" * 46, "x" * 1_000_000),
        hashlib.sha256(token.encode()).hexdigest(),
    ]


def test_nothing_but_the_token_is_the_token(db: psycopg.Connection) -> None:
    token = accounts.issue_token(db, role="admin", zone="registry")
    session = accounts.session_for_token(db, token)
    for wrong in hostile(token):
        for enter in (accounts.by_token, accounts.by_session, accounts.session_for_token):
            with pytest.raises(NotSignedInError):
                enter(db, wrong)
    with pytest.raises(NotSignedInError):
        accounts.by_session(db, token)
    with pytest.raises(NotSignedInError):
        accounts.by_token(db, session)
    assert accounts.by_token(db, token).role == "admin"


def test_each_zone_knows_its_own(db: psycopg.Connection, gateway_db: psycopg.Connection) -> None:
    token = accounts.issue_token(db, role="admin", zone="registry")
    db.commit()
    with pytest.raises(NotSignedInError):
        accounts.by_token(gateway_db, token)


def test_a_busy_token_makes_nobody_wait(db: psycopg.Connection, settings: config.Settings) -> None:
    token = accounts.issue_token(db, role="curator", zone="registry")
    db.commit()
    accounts.by_token(db, token)  # marks the use, and holds the row
    with database.connect(settings, "registry") as other:
        other.execute("SET lock_timeout = '200ms'")
        assert accounts.by_token(other, token)


def test_looking_up_a_token_takes_half_a_millisecond(db: psycopg.Connection) -> None:
    token = accounts.issue_token(db, role="curator", zone="registry")
    db.execute(
        "INSERT INTO token (account_id, hash, expires_at)"
        " SELECT 1, sha256(n::text::bytea), now() + interval '1 day' FROM generate_series(1, 20000) AS n"
    )
    db.execute("ANALYZE token")
    db.commit()
    plan = db.execute("EXPLAIN SELECT FROM token WHERE hash = sha256('x')").fetchall()
    assert "token_hash_key" in str(plan)
    took = []
    for _ in range(300):
        start = time.perf_counter()
        accounts.by_token(db, token)
        took.append(time.perf_counter() - start)
    assert sorted(took)[150] < 0.002, "0.0005 s on a quiet machine"


# Passwords and sessions


def test_a_person_signs_in_and_out(db: psycopg.Connection) -> None:
    account = person(db)
    secret = accounts.sign_in(db, " Martin ", PASSWORD)
    assert accounts.by_session(db, secret) == account
    db.commit()
    assert accounts.sign_in(db, "martin", PASSWORD) != secret
    accounts.sign_out(db, secret)
    accounts.sign_out(db, secret)
    db.commit()
    with pytest.raises(NotSignedInError):
        accounts.by_session(db, secret)
    assert actions(db) == ["account.create", "session.open", "session.open", "session.close"]
    assert secret not in str(db.execute("SELECT * FROM session").fetchall())


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("martin", "wrong"), ("martin", ""), ("martin", PASSWORD.upper()), ("martin", PASSWORD + " ")),
        *(("", PASSWORD), ("nobody", PASSWORD), ("mar\0tin", PASSWORD), ("' OR ''='", PASSWORD), ("x" * 100_000, "y")),
        *(("martin", "x" * 1_000_000), ("martin", "\0"), ("robot", ""), ("robot", "None"), ("gone", PASSWORD)),
    ],
)
def test_one_answer_for_whatever_is_wrong(db: psycopg.Connection, name: str, password: str) -> None:
    person(db)
    person(db, "gone")
    accounts.disable_account(db, "gone", by="admin")
    accounts.issue_token(db, role="curator", zone="registry", name="robot")
    db.commit()
    with pytest.raises(NotSignedInError, match=r"^name and password do not match, or there were too many tries"):
        accounts.sign_in(db, name, password)
    (told,) = db.execute("SELECT target FROM event WHERE action = 'session.refuse'").fetchall()
    assert told[0] in ("account 1", "unknown account", "account 3")


def test_a_try_counts_even_when_the_caller_rolls_back(db: psycopg.Connection) -> None:
    person(db)
    with pytest.raises(NotSignedInError), db.transaction():
        raise NotSignedInError
    db.execute("SELECT 1")
    with pytest.raises(RuntimeError, match="outside a transaction"):
        accounts.sign_in(db, "martin", PASSWORD)
    db.rollback()
    with pytest.raises(NotSignedInError):
        accounts.sign_in(db, "martin", "wrong")
    db.rollback()
    assert db.execute("SELECT count(*) FROM sign_in_try").fetchone() == (1,)


AGES = {
    "idle": ("curator", "seen_at = now() - interval '30 minutes 1 second'", False),
    "nearly idle": ("curator", "seen_at = now() - interval '29 minutes'", True),
    "an idle administrator": ("admin", "seen_at = now() - interval '15 minutes 1 second'", False),
    "old": ("curator", "expires_at = expires_at - interval '12 hours'", False),
    "nearly old": ("curator", "expires_at = expires_at - interval '11 hours 59 minutes'", True),
    "an old administrator": ("admin", "expires_at = expires_at - interval '8 hours'", False),
}


@pytest.mark.parametrize(("role", "change", "lives"), AGES.values(), ids=AGES)
def test_a_session_ends_by_idleness_and_by_age(
    db: psycopg.Connection, role: accounts.Role, change: str, lives: bool
) -> None:
    person(db, role=role)
    secret = accounts.sign_in(db, "martin", PASSWORD)
    db.execute(f"UPDATE session SET {change}")  # type: ignore[arg-type]
    if lives:
        assert accounts.by_session(db, secret).role == role
        assert db.execute("SELECT now() - seen_at < interval '1 minute' FROM session").fetchone() == (True,)
    else:
        with pytest.raises(NotSignedInError):
            accounts.by_session(db, secret)


CHANGES: dict[str, Callable[[psycopg.Connection], object]] = {
    "password": lambda conn: accounts.set_password(conn, "martin", "quatre chevaux gris 7", by="admin"),
    "role": lambda conn: accounts.change_role(conn, "martin", "researcher", by="admin"),
    "disabled": lambda conn: accounts.disable_account(conn, "martin", by="admin"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_sessions_end_with_what_they_stood_on(
    db: psycopg.Connection, change: Callable[[psycopg.Connection], object]
) -> None:
    person(db)
    secret = accounts.sign_in(db, "martin", PASSWORD)
    change(db)
    with pytest.raises(NotSignedInError):
        accounts.by_session(db, secret)


def test_a_hash_of_yesterday_is_made_anew(db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    person(db)
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(time_cost=2, memory_cost=128, parallelism=1))
    accounts.sign_in(db, "martin", PASSWORD)
    assert "m=128" in str(db.execute("SELECT password_hash FROM account").fetchone())
    db.commit()
    accounts.sign_in(db, "martin", PASSWORD)


# Throttling


def guesses(conn: psycopg.Connection, count: int, *, name: str = "martin", address: str | None = None) -> int:
    """Guess wrongly; return how many guesses were evaluated."""
    for _ in range(count):
        with pytest.raises(NotSignedInError):
            accounts.sign_in(conn, name, "a wrong guess", address=address)
    row = conn.execute("SELECT count(*) FROM sign_in_try WHERE NOT succeeded").fetchone()
    conn.commit()
    assert row
    return int(row[0])


def test_five_guesses_for_an_account_are_looked_at(db: psycopg.Connection) -> None:
    person(db)
    assert guesses(db, 50) == throttle.PER_ACCOUNT
    with pytest.raises(NotSignedInError):
        accounts.sign_in(db, "martin", PASSWORD)
    assert db.execute("SELECT count(*) FROM event WHERE action = 'session.refuse'").fetchone() == (5,)


def test_an_unknown_name_is_throttled_alike(db: psycopg.Connection) -> None:
    assert guesses(db, 20, name="nobody") == throttle.PER_ACCOUNT


def test_twenty_guesses_from_an_address_are_looked_at(db: psycopg.Connection) -> None:
    for number in range(30):
        guesses(db, 1, name=f"user{number}", address="192.0.2.1")
    assert guesses(db, 0) == throttle.PER_ADDRESS
    assert guesses(db, 1, name="another", address="192.0.2.2") == throttle.PER_ADDRESS + 1


def test_the_owner_gets_in_under_attack(db: psycopg.Connection) -> None:
    person(db)
    accounts.sign_in(db, "martin", PASSWORD, address="198.51.100.7")
    assert guesses(db, 30, address="192.0.2.1") == throttle.PER_ACCOUNT
    assert accounts.sign_in(db, "martin", PASSWORD, address="198.51.100.7")


def test_after_a_quarter_of_an_hour_the_wait_grows(db: psycopg.Connection) -> None:
    person(db)
    guesses(db, 5)

    def later(minutes: int) -> None:
        db.execute("UPDATE sign_in_try SET at = at - make_interval(mins => %s)", (minutes,))
        db.commit()

    later(16)
    assert guesses(db, 1) == 6
    assert guesses(db, 1) == 6, "a second try at once waits"
    later(1)
    assert guesses(db, 1) == 7
    later(16)
    assert accounts.sign_in(db, "martin", PASSWORD)
    assert guesses(db, 9) == 12, "a success clears the count"


def test_guesses_at_the_same_moment_are_counted_one_by_one(db: psycopg.Connection, settings: config.Settings) -> None:
    person(db)

    def guess() -> None:
        with database.connect(settings, "registry") as conn, pytest.raises(NotSignedInError):
            accounts.sign_in(conn, "martin", "a wrong guess")

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guesses(db, 0) == throttle.PER_ACCOUNT


def test_no_name_or_address_is_kept_in_clear(db: psycopg.Connection) -> None:
    guesses(db, 1, name="my password typed here", address="192.0.2.1")
    kept = str(db.execute("SELECT t::text, e::text FROM sign_in_try t, event e").fetchall())
    assert "typed" not in kept
    assert "192.0.2" not in kept


# Accounts


def test_the_first_administrator(db: psycopg.Connection) -> None:
    made = accounts.ensure_admin(db, None)
    db.commit()
    assert made
    assert accounts.ensure_admin(db, "another good password 1") is None
    db.commit()
    assert accounts.by_session(db, accounts.sign_in(db, "admin", made)).role == "admin"


def test_the_first_administrator_with_a_given_password(db: psycopg.Connection) -> None:
    with pytest.raises(UsageError, match="16 to 256"):
        accounts.ensure_admin(db, "short")
    assert accounts.ensure_admin(db, PASSWORD) is None
    db.commit()
    assert accounts.sign_in(db, "admin", PASSWORD)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "é", "a" * 65, "<b>", "-x", "a;b", "\0"])
def test_a_name_is_plain(db: psycopg.Connection, name: str) -> None:
    with pytest.raises(UsageError):
        accounts.create_account(db, name, role="curator")


def test_a_name_is_given_once(db: psycopg.Connection) -> None:
    person(db)
    with pytest.raises(ConflictError):
        accounts.create_account(db, "MARTIN", role="admin")
    with pytest.raises(NotFoundError):
        accounts.disable_account(db, "nobody", by="admin")
    with pytest.raises(NotFoundError):
        accounts.revoke_token(db, 99, by="admin")


# Centres


def test_an_ae_title_belongs_to_the_centre_of_its_name_while_none_is_listed(db: psycopg.Connection) -> None:
    assert accounts.centre_of_aet(db, "CT_LYON", []) == "CT_LYON"
    assert accounts.centre_of_aet(db, "CT_LYON", []) == "CT_LYON"
    assert actions(db) == ["centre.create"]
    accounts.assign_aet(db, "CT_LYON", "C069", by="admin")
    assert accounts.centre_of_aet(db, "CT_LYON", []) == "C069"


def test_only_listed_ae_titles_may_send(db: psycopg.Connection) -> None:
    allowed = ["CT_A", "CT_B=C075", " CT 3 = C013 "]
    found = {aet: accounts.centre_of_aet(db, aet, allowed) for aet in ("CT_A", "CT_B", "CT 3", "CT_C", "ct_a", "")}
    assert found == {"CT_A": "CT_A", "CT_B": "C075", "CT 3": "C013", "CT_C": None, "ct_a": None, "": None}


@pytest.mark.parametrize(
    "aet", ["", " ", "..", "../../etc", "a/b", "a\\b", "a\0b", "a\nb", "A" * 17, "é", "$(id)", ";ls", "%s", "' OR 1"]
)
def test_a_hostile_ae_title_makes_no_centre(db: psycopg.Connection, aet: str) -> None:
    assert accounts.centre_of_aet(db, aet, []) is None
    assert db.execute("SELECT count(*) FROM centre").fetchone() == (0,)


@pytest.mark.parametrize("code", ["", "..", "/", "a/b", "x" * 33, "é", "a\n", "-x", ".x"])
def test_a_centre_has_a_plain_code(db: psycopg.Connection, code: str) -> None:
    with pytest.raises(UsageError):
        accounts.ensure_centre(db, code)
