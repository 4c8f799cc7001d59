"""A registry without its doors: packages go into its inbox and are decided by a call."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from groundglass.config import Settings
from groundglass.core.jobs import Context
from groundglass.core.objects import open_objects
from groundglass.registry import archive, inbox
from groundglass.registry.inbox import Offer
from groundglass.series import package
from groundglass.series.package import Member
from support import part10


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry as the tests use it."""

    settings: Settings
    conn: psycopg.Connection

    @property
    def context(self) -> Context:
        return Context(self.settings, "registry")

    def send(self, data: bytes, **options: str) -> str:
        """Receive a package and return its hash."""
        offer = offer_of(data, **options)
        path = inbox.incoming(self.settings, f"{offer.sha256}.test")
        path.write_bytes(data)
        inbox.receive(self.conn, self.settings, offer, path)
        return offer.sha256

    def decide(self, sha256: str) -> dict:
        """Run the job on a package and return its receipt."""
        archive.archive(self.context, sha256=sha256)
        answer = self.receipt(sha256)
        assert answer is not None
        return answer

    def deliver(self, data: bytes, **options: str) -> dict:
        return self.decide(self.send(data, **options))

    def receipt(self, sha256: str) -> dict | None:
        found = inbox.status(self.conn, sha256)
        self.conn.commit()
        return None if found is None or found.answer is None else found.answer["receipt"]

    def rows(self, query: str, *values: object) -> list[tuple]:
        found = self.conn.execute(query, values or None).fetchall()
        self.conn.commit()
        return found

    def stored(self) -> dict[str, bytes]:
        """Return every object by its key."""
        objects = open_objects(self.settings)
        return {key: objects.get(key) for key in objects.list("")}

    def waiting(self) -> list[Path]:
        """Return every file below the inbox."""
        return [path for path in inbox.folder(self.settings).rglob("*") if path.is_file()]


def packed(numbers: Iterable[int], others: Iterable[tuple[int, str]] = (), **options) -> bytes:
    """Return a package of these slices; `others`: more of them, (number, patient)."""
    series = options.get("series", part10.SERIES)
    objects = [(n, part10.ct(n, **options)) for n in numbers]
    objects += [(n, part10.ct(n, **{**options, "patient": patient})) for n, patient in others]
    out = io.BytesIO()
    package.pack([Member(f"{series}.{n}", (data,)) for n, data in objects], out)
    return out.getvalue()


def offer_of(data: bytes, *, account: str = "gw-north", centre: str = "NORTH", collection: str = "fidac") -> Offer:
    return Offer(hashlib.sha256(data).hexdigest(), len(data), account, centre, collection, "fidac-anonyme/1")
