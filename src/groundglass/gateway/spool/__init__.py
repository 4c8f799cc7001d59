"""Append-only segments that hold what was received until the registry has it (decision 0021)."""

from groundglass.gateway.spool.record import Origin, Record, scan, segment_path, segments
from groundglass.gateway.spool.segment import SpoolError
from groundglass.gateway.spool.spool import Spill, Spool, remove

__all__ = ["Origin", "Record", "Spill", "Spool", "SpoolError", "remove", "scan", "segment_path", "segments"]
