"""The hospital's DICOM door: C-ECHO and C-STORE (decision 0020)."""

from groundglass.gateway.dimse.server import serve_dimse

__all__ = ["serve_dimse"]
