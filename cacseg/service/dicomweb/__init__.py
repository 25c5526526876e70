"""DICOMweb (PS3.18): images in by STOW-RS, the objects made from them out by QIDO-RS and WADO-RS.

STOW-RS -> inbox            results -> made objects -> QIDO-RS, WADO-RS
"""

from fastapi import APIRouter

from cacseg.service.dicomweb import pixels, query, retrieve, store

router = APIRouter()
for part in (store, query, retrieve, pixels):
    router.include_router(part.router)

__all__ = ["router"]
