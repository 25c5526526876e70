"""The networks: a MONAI 3-D U-Net that labels calcium, one that finds the heart, two that look closely."""

from cacseg.models.bifurcation import BifurcationNet
from cacseg.models.closeup import CloseupNet
from cacseg.models.unet import TISSUE_CLASSES, CalciumNet, ScoutNet

__all__ = ["TISSUE_CLASSES", "BifurcationNet", "CalciumNet", "CloseupNet", "ScoutNet"]
