"""A registry with a few tiny series of two centres, behind its real HTTP door: what the tests of DICOMweb ask."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from groundglass import config
from groundglass.core import accounts, database
from groundglass.core.postgres import Postgres
from groundglass.registry import inspection
from groundglass.series import package
from groundglass.series.package import Member
from groundglass.web.app import create_app
from support import part10
from support.packages import Registry
from support.serving import serving

ROLES: tuple[accounts.Role, ...] = (
    "contributor",
    "gateway",
    "curator",
    "researcher",
    "committee",
    "custodian",
    "auditor",
    "admin",
)
OF_A_CENTRE = ("contributor", "gateway")
MULTIPART_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
MULTIPART_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Held:
    """One series of the registry: its objects by SOP Instance UID, and its package."""

    study: str
    uid: str
    package: bytes
    sha256: str
    objects: Mapping[str, bytes]

    @property
    def path(self) -> str:
        return f"/dicom-web/studies/{self.study}/series/{self.uid}"

    @property
    def first(self) -> str:
        return next(iter(self.objects))


@dataclass(slots=True)
class World:
    """NORTH has `native` and `encapsulated` in one study and `large` in another, SOUTH has `other`."""

    url: str
    registry: Registry
    native: Held
    encapsulated: Held
    large: Held
    other: Held
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, role: str | None, **headers: str) -> httpx.Client:
        """An HTTP client with the token of a role (None: without), which sends just these headers."""
        given = {"authorization": f"Bearer {self.token(role)}"} if role else {}
        client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        client.headers = httpx.Headers(given | headers)
        return client

    def token(self, role: str) -> str:
        if role not in self.tokens:
            self.tokens[role] = issue(self.registry.conn, role, centre="NORTH" if role in OF_A_CENTRE else None)
        return self.tokens[role]


def issue(conn: psycopg.Connection, role: str, **options) -> str:
    """A token, committed."""
    made = accounts.issue_token(conn, role=role, zone="registry", **options)
    conn.commit()
    return made


@contextlib.contextmanager
def world(postgres: Postgres, folder: Path) -> Iterator[World]:
    """Archive the series on a database of their own, and serve."""
    with _settings(postgres, folder) as settings, psycopg.connect(settings.registry.database_url or "") as conn:
        registry = Registry(settings, conn)
        with pytest.MonkeyPatch.context() as patch:  # the verifier has tests of its own; these objects are tiny
            patch.setattr(inspection.verify, "check", lambda head, size, *, seeds=(): ())
            held = _series(registry)
        with serving(create_app(settings)) as url:
            yield World(url, registry, **held)


@contextlib.contextmanager
def _settings(postgres: Postgres, folder: Path) -> Iterator[config.Settings]:
    name = f"images_{next(_numbers)}"
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template_registry").format(sql.Identifier(name)))
    yield config.Settings(data=folder, registry=config.Registry(database_url=postgres.conninfo(name)))
    database.close_lent()
    with psycopg.connect(postgres.conninfo(), autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _series(registry: Registry) -> dict[str, Held]:
    when = {0x00080020: ("DA", "20200316"), 0x00080030: ("TM", "101500"), 0x00081030: ("LO", "CT chest")}
    later = when | {0x00080020: ("DA", "20200401"), 0x00081030: ("LO", "CT chest low dose")}
    patient = {"patient": "GG-000009"}
    a, b, c = "2.25.1001", "2.25.1002", "2.25.1003"
    native = {f"2.25.2001.{n}": part10.ct(n, study=a, series="2.25.2001", more=when) for n in (1, 2, 3)}
    large = {f"2.25.2003.{n}": part10.ct(n, study=b, series="2.25.2003", size=1024, more=later) for n in (1, 2)}
    other = {f"2.25.2004.{n}": part10.ct(n, study=c, series="2.25.2004", more=when, **patient) for n in (1, 2)}
    return {
        "native": _deliver(registry, a, "2.25.2001", native),
        "encapsulated": _deliver(registry, a, "2.25.2002", dict([compressed(a, "2.25.2002", when)])),
        "large": _deliver(registry, b, "2.25.2003", large),
        "other": _deliver(registry, c, "2.25.2004", other, centre="SOUTH", account="gw-south"),
    }


FRAGMENTS = (b"one.", b"two...", b"three...")  # of JPEG-LS, if only by name: nothing here looks into a frame


def compressed(study: str, series: str, more: Mapping[int, tuple[str, bytes | str]]) -> tuple[str, bytes]:
    """A JPEG-LS object of two frames, the second in two fragments, and its UID."""
    sop = f"{series}.1"
    table = struct.pack("<2L", 0, 8 + len(FRAGMENTS[0]))
    elements = {
        0x00080016: ("UI", part10.CT),
        0x00080018: ("UI", sop),
        0x00080060: ("CS", "CT"),
        0x0008103E: ("LO", "LUNG"),
        0x00100020: ("LO", "GG-000001"),
        0x00100040: ("CS", "F"),
        0x00101010: ("AS", "060Y"),
        0x0020000D: ("UI", study),
        0x0020000E: ("UI", series),
        0x00200011: ("IS", "4"),
        0x00200013: ("IS", "1"),
        0x00280008: ("IS", "2"),
        0x00280010: ("US", struct.pack("<H", 16)),
        0x00280011: ("US", struct.pack("<H", 16)),
        **more,
    }
    head = part10.part10(elements, sop=sop, syntax=part10.JPEG_LS)
    pixels = part10.element(0x7FE00010, "OB", part10.encapsulate(list(FRAGMENTS), table=table), length=0xFFFFFFFF)
    return sop, head + pixels


def _deliver(registry: Registry, study: str, uid: str, objects: Mapping[str, bytes], **sender: str) -> Held:
    out = io.BytesIO()
    package.pack([Member(sop, (data,)) for sop, data in objects.items()], out)
    receipt = registry.deliver(out.getvalue(), **sender)
    assert receipt["verdict"] == "archived", receipt
    return Held(study, uid, out.getvalue(), receipt["package_sha256"], objects)
