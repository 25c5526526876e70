"""Inference: load a release, find the heart, resample to its grid, predict, assign.

    release, volume -> heart box -> model grid -> class scores -> label of each candidate voxel

Nothing here imports torch, monai or lightning; numpy does the resampling, and ONNX Runtime or OpenVINO the network.
"""

from cacseg.infer.assign import Assignment, assign
from cacseg.infer.release import DEFAULT_RELEASE, Release, load_release, releases_dir

__all__ = ["DEFAULT_RELEASE", "Assignment", "Release", "assign", "load_release", "releases_dir"]
