"""What the de-identifier lets out, the registry's own verifier takes; what still names somebody, it refuses."""

from __future__ import annotations

import io

import psycopg
import pytest

from groundglass.config import Settings
from groundglass.deid import profile
from groundglass.deid.engine import Deidentified, Engine, Span
from groundglass.deid.identifiers import Keys
from groundglass.demo import phantom
from groundglass.series import package
from groundglass.series.package import Member
from support.packages import Registry
from support.shared import data

KEYS = Keys.derive(bytes(range(32)), collection="fidac", centre="NORTH")


@pytest.fixture
def registry(settings: Settings, registry_db: psycopg.Connection) -> Registry:
    """Unlike the other tests' registry, one with its verifier."""
    return Registry(settings, registry_db)


def members(files: list[bytes]) -> list[Member]:
    engine = Engine(profile.load("fidac-anonyme"), KEYS)
    found = []
    for file in files:
        out = engine.deidentify(file, len(file))
        assert isinstance(out, Deidentified), out
        parts = [file[p.offset : p.offset + p.length] if isinstance(p, Span) else p for p in out.parts]
        found.append(Member(out.sop_instance_uid, tuple(parts)))
    return found


def packed(chosen: list[Member]) -> bytes:
    out = io.BytesIO()
    package.pack(chosen, out)
    return out.getvalue()


@pytest.mark.parametrize("seed", range(4))
def test_clean_phantoms_of_every_maker_are_archived(registry: Registry, seed: int):
    files = list(phantom.series(seed, 5, 64, 64))
    receipt = registry.deliver(packed(members(files)))
    assert (receipt["verdict"], receipt["reasons"], receipt["instances"]) == ("archived", [], 5)


def test_a_clean_real_series_is_archived(registry: Registry):
    folder = data("ct", "lung_pet_ct_dx", "siemens_A0002_B40f_30")
    files = [path.read_bytes() for path in sorted(folder.glob("*.dcm"))]
    receipt = registry.deliver(packed(members(files)))
    assert (receipt["verdict"], receipt["reasons"], receipt["instances"]) == ("archived", [], len(files))


def test_one_name_in_one_object_refuses_the_package(registry: Registry):
    clean = members(list(phantom.series(1, 3, 64, 64)))
    whole = b"".join(clean[1].parts)
    at = whole.index(b"\x10\0\x20\0LO")
    known = whole.find(b"\x10\0\x10\0PN")
    named = whole[: at if known < 0 else known] + b"\x10\0\x10\0PN\x0c\0MODELE^AXEL " + whole[at:]
    receipt = registry.deliver(packed([clean[0], Member(clean[1].sop_instance_uid, (named,)), clean[2]]))
    assert receipt["verdict"] == "refused"
    assert receipt["reasons"][0] == "identity_residue"
    assert (registry.stored(), registry.waiting()) == ({}, [])
