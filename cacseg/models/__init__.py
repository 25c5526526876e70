"""The networks: a MONAI 3-D U-Net that labels calcium, and a small one that finds the heart."""

from cacseg.models.unet import TISSUE_CLASSES, CalciumNet, ScoutNet

__all__ = ["TISSUE_CLASSES", "CalciumNet", "ScoutNet"]
