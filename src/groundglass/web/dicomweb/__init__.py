"""DICOMweb (PS3.18) of the registry: QIDO-RS and WADO-RS below /dicom-web."""

from __future__ import annotations

from fastapi import APIRouter

from groundglass.web.dicomweb import qido, wado

router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])
router.include_router(qido.router)
router.include_router(wado.router)

__all__ = ["router"]
