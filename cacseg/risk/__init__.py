"""What a score means for a person: categories, percentiles, arterial age, risk equations."""

from cacseg.risk.assess import assess
from cacseg.risk.cac_drs import cac_drs, cac_drs_visual
from cacseg.risk.percentile import HOFF, MESA, hoff_band, mesa_group, mesa_percentile

__all__ = ["HOFF", "MESA", "assess", "cac_drs", "cac_drs_visual", "hoff_band", "mesa_group", "mesa_percentile"]
