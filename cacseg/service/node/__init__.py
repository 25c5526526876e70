"""The DICOM node: echoes, and takes images in from the peers that it knows.

association -> admitted peer -> C-STORE -> scratch file -> inbox -> status
"""

from cacseg.service.node.node import Node

__all__ = ["Node"]
