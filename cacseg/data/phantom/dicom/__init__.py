"""Synthetic studies as DICOM, with their truth beside them."""

from cacseg.data.phantom.dicom.study import write_phantoms, write_study

__all__ = ["write_phantoms", "write_study"]
