"""What the inbox says it has received is on disk, in the database and in the queue, or it was not received."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from groundglass.errors import (
    ConflictError,
    NoRoomError,
    TooLargeError,
    UnavailableError,
    UnprocessableError,
    UsageError,
)
from groundglass.registry import collections, inbox
from groundglass.registry.inbox import Offer
from support.packages import Registry, offer_of, packed

DATA = packed([1])


def test_a_received_package_has_file_row_job_and_audit_event(registry: Registry):
    sha256 = registry.send(DATA)
    assert inbox.path_of(registry.settings, sha256).read_bytes() == DATA
    assert registry.rows(
        "SELECT encode(sha256, 'hex'), account, centre, collection, profile, bytes, state FROM inbox"
    ) == [(sha256, "gw-north", "NORTH", "fidac", "fidac-anonyme/1", len(DATA), "received")]
    assert registry.rows("SELECT task_name, queue_name, args FROM procrastinate_jobs") == [
        ("registry.archive", "registry", {"sha256": sha256})
    ]
    assert registry.rows("SELECT actor, action FROM event") == [("gw-north", "package.receive")]


def test_it_is_committed_when_it_is_received(registry: Registry):
    registry.send(DATA)
    registry.conn.rollback()
    assert registry.rows("SELECT count(*) FROM inbox") == [(1,)]


def test_sending_again_changes_nothing(registry: Registry):
    registry.send(DATA)
    registry.send(DATA)
    assert registry.rows("SELECT count(*) FROM inbox") == [(1,)]
    assert registry.rows("SELECT count(*) FROM procrastinate_jobs") == [(1,)]
    assert registry.rows("SELECT count(*) FROM event") == [(1,)]
    assert len(registry.waiting()) == 1


def test_another_account_of_the_centre_may_send_it_too(registry: Registry):
    sha256 = registry.send(DATA)
    assert registry.send(DATA, account="gw-north-2") == sha256
    assert registry.rows("SELECT account FROM inbox") == [("gw-north",)]


def test_another_centre_may_not(registry: Registry):
    registry.send(DATA)
    with pytest.raises(ConflictError):
        registry.send(DATA, account="gw-south", centre="SOUTH")
    assert registry.rows("SELECT centre FROM inbox") == [("NORTH",)]


def test_an_unknown_collection_is_refused(registry: Registry):
    with pytest.raises(UnprocessableError):
        registry.send(DATA, collection="nobody-knows")
    assert registry.rows("SELECT count(*) FROM inbox") == [(0,)]
    collections.ensure(registry.conn, "nobody-knows")
    collections.ensure(registry.conn, "nobody-knows")
    registry.conn.commit()
    registry.send(DATA, collection="nobody-knows")


@pytest.mark.parametrize("code", ["", "Fidac", "a/b", "..", "a" * 64, "-a"])
def test_a_collections_code_can_be_part_of_a_key(code: str):
    with pytest.raises(UsageError):
        collections.ensure(None, code)


def test_a_package_over_the_limit_is_refused_before_its_bytes(registry: Registry):
    with pytest.raises(TooLargeError):
        inbox.admit(registry.conn, Offer("00" * 32, 8 * 2**30 + 1, "a", "NORTH", "fidac", "p"))


def test_a_centre_that_floods_waits(registry: Registry):
    registry.send(DATA)
    registry.conn.execute("UPDATE inbox SET bytes = 199999999999")
    registry.conn.commit()
    with pytest.raises(NoRoomError):
        registry.send(packed([2]))
    registry.send(packed([2]), centre="SOUTH")
    registry.send(DATA)


def test_a_file_of_another_length_is_refused(registry: Registry):
    offer = offer_of(DATA)
    path = inbox.incoming(registry.settings, "short")
    path.write_bytes(DATA[:-1])
    with pytest.raises(UnprocessableError):
        inbox.receive(registry.conn, registry.settings, offer, path)
    assert registry.rows("SELECT count(*) FROM inbox") == [(0,)]


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, NoRoomError), (errno.EDQUOT, NoRoomError), (errno.EIO, UnavailableError)]
)
def test_what_cannot_be_synced_is_not_received(registry: Registry, monkeypatch, number, expected):
    def fail(_fd):
        raise OSError(number, "injected")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(expected):
        registry.send(DATA)
    assert registry.rows("SELECT count(*) FROM inbox") == [(0,)]


def test_names_are_synced_before_the_row_is_written(registry: Registry, monkeypatch):
    happened = []
    monkeypatch.setattr(inbox, "sync_folder", lambda path: happened.append(("sync", Path(path).name)))
    monkeypatch.setattr(inbox, "_insert", lambda conn, offer: happened.append(("insert", "")))
    registry.send(DATA)
    assert happened == [("sync", "inbox"), ("insert", "")]
