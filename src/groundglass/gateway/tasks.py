"""What the gateway's workers can do."""

from __future__ import annotations

from groundglass.gateway import ferry, pipeline, sweep

HANDLERS = {
    "gateway.process": pipeline.process,
    "gateway.send": ferry.send,
    "gateway.receipt": ferry.receive,
    "gateway.report": ferry.report,
}
SWEEPERS = [sweep.requeue]
