"""One decision on a package: the audit event, the signed receipt that names it, the state of the inbox row."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.types.json import Jsonb

from groundglass import __version__
from groundglass.config import Settings
from groundglass.core import audit
from groundglass.registry import receipts
from groundglass.registry.inbox import Offer
from groundglass.registry.receipts import Receipt

_VERIFIER = f"groundglass/{__version__}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided. Numbers are of the series' current version after it; 0 when refused."""

    verdict: receipts.Verdict
    reasons: tuple[str, ...] = ()
    version: int = 0
    instances: int = 0
    bytes: int = 0


def record(conn: psycopg.Connection, settings: Settings, offer: Offer, decision: Decision) -> None:
    """Write the decision, last in the caller's transaction: it holds the audit log from here on."""
    receipt = Receipt(
        number=receipts.new_number(),
        collection=offer.collection,
        package_sha256=offer.sha256,
        series_version=decision.version,
        instances=decision.instances,
        bytes=decision.bytes,
        profile=offer.profile,
        verifier=_VERIFIER,
        verdict=decision.verdict,
        reasons=decision.reasons,
        at=receipts.now(),
        audit_head=_audited(conn, offer, decision),
    )
    conn.execute(
        "UPDATE inbox SET state = %s, decided_at = now(), number = %s, receipt = %s, signature = %s WHERE sha256 = %s",
        (
            decision.verdict,
            receipt.number,
            Jsonb(receipt.fields()),
            receipts.sign(settings, receipt),
            bytes.fromhex(offer.sha256),
        ),
    )


def _audited(conn: psycopg.Connection, offer: Offer, decision: Decision) -> str:
    """Append the event and return the hash of the log's head, which is this event's."""
    detail: dict[str, audit.JsonValue] = {
        "reasons": list(decision.reasons),
        "version": decision.version,
        "instances": decision.instances,
        "bytes": decision.bytes,
    }
    action = f"package.{decision.verdict}"
    audit.record(conn, by="registry", action=action, target=f"package:{offer.sha256}", detail=detail)
    row = conn.execute("SELECT hash FROM event_head").fetchone()
    assert row is not None
    return bytes(row[0]).hex()
