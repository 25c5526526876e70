"""The networks: a MONAI 3-D U-Net that labels calcium, one that finds the heart, one that looks closely."""

from cacseg.models.closeup import CloseupNet
from cacseg.models.unet import TISSUE_CLASSES, CalciumNet, ScoutNet

__all__ = ["TISSUE_CLASSES", "CalciumNet", "CloseupNet", "ScoutNet"]
