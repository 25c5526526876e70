"""Published positions of coronary segments relative to their ostium, with their spread and lumen."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cacseg.data.phantom.anatomy.shapes import Array


@dataclass(frozen=True, slots=True)
class DodgePoint:
    """One point of the coronary tree in spherical coordinates about its own ostium.

    Parameters
    ----------
    radius_cm : distance from the ostium; SD ``radius_sd_cm``.
    theta_deg : 0 to the front, 90 to the left; SD ``theta_sd_deg``.
    phi_deg : elevation, positive towards the head; SD ``phi_sd_deg``.
    lumen_mm : diameter; 0 where not given.
    """

    radius_cm: float
    theta_deg: float
    phi_deg: float
    radius_sd_cm: float
    theta_sd_deg: float
    phi_sd_deg: float
    lumen_mm: float

    @property
    def offset_lps_mm(self) -> Array:
        """Mean position (3,) relative to the ostium.

        Examples
        --------
        >>> np.round(DODGE["LMm"].offset_lps_mm, 1)
        array([ 6.9, -1.2,  0.5])
        """
        theta, phi = np.deg2rad([self.theta_deg, self.phi_deg])
        level = 10.0 * self.radius_cm * np.cos(phi)
        return np.array([level * np.sin(theta), -level * np.cos(theta), 10.0 * self.radius_cm * np.sin(phi)])


DODGE: Final = {
    "LMm": DodgePoint(0.7, 80.0, 4.0, 0.4, 20.0, 15.0, 4.5),
    "L1p": DodgePoint(1.6, 70.0, -3.0, 0.7, 12.0, 12.0, 3.7),
    "L1m": DodgePoint(2.3, 63.0, -5.0, 0.8, 10.0, 11.0, 3.6),
    "L2m": DodgePoint(5.3, 44.0, -12.0, 0.8, 7.0, 9.0, 2.5),
    "L3m": DodgePoint(10.1, 30.0, -32.0, 0.9, 8.0, 7.0, 1.7),
    "L4p": DodgePoint(12.2, 32.0, -46.0, 1.0, 9.0, 7.0, 1.4),
    "L4m": DodgePoint(11.8, 33.0, -49.0, 0.9, 10.0, 7.0, 1.1),
    "D1o": DodgePoint(3.2, 61.0, -8.0, 0.8, 11.0, 10.0, 2.1),
    "D1m": DodgePoint(6.2, 61.0, -23.0, 1.0, 9.0, 11.0, 1.5),
    "D2o": DodgePoint(4.9, 47.0, -12.0, 1.0, 10.0, 7.0, 1.9),
    "D2m": DodgePoint(7.7, 49.0, -24.0, 0.7, 10.0, 8.0, 1.4),
    "D3o": DodgePoint(6.6, 41.0, -17.0, 1.1, 9.0, 7.0, 1.7),
    "D3m": DodgePoint(9.0, 42.0, -26.0, 0.9, 10.0, 7.0, 1.3),
    "S1o": DodgePoint(3.3, 57.0, -9.0, 1.1, 11.0, 10.0, 1.4),
    "S1m": DodgePoint(4.3, 35.0, -31.0, 1.1, 12.0, 10.0, 1.0),
    "S2o": DodgePoint(5.2, 44.0, -12.0, 1.1, 10.0, 10.0, 1.1),
    "S2m": DodgePoint(5.8, 31.0, -29.0, 0.9, 7.0, 10.0, 0.9),
    "S3o": DodgePoint(7.0, 37.0, -19.0, 0.8, 8.0, 7.0, 1.1),
    "S3m": DodgePoint(7.3, 30.0, -31.0, 0.8, 7.0, 8.0, 0.9),
    "C1p": DodgePoint(1.4, 86.0, -12.0, 0.7, 15.0, 13.0, 2.9),
    "C1m": DodgePoint(1.8, 94.0, -24.0, 0.8, 17.0, 12.0, 2.9),
    "C2m": DodgePoint(3.1, 116.0, -37.0, 0.9, 18.0, 9.0, 3.1),
    "C3m": DodgePoint(4.8, 135.0, -51.0, 1.0, 21.0, 8.0, 1.4),
    "C4m": DodgePoint(5.9, 166.0, -71.0, 0.9, 39.0, 9.0, 0.0),
    "MRo": DodgePoint(1.2, 85.0, -10.0, 0.5, 18.0, 17.0, 1.8),
    "MRm": DodgePoint(5.6, 80.0, -34.0, 1.6, 14.0, 13.0, 1.3),
    "OMp": DodgePoint(2.8, 105.0, -30.0, 0.7, 5.0, 7.0, 3.3),
    "M1o": DodgePoint(2.2, 102.0, -31.0, 0.7, 15.0, 10.0, 2.1),
    "M1m": DodgePoint(5.6, 91.0, -38.0, 1.4, 15.0, 9.0, 1.5),
    "M2o": DodgePoint(3.4, 118.0, -41.0, 0.6, 18.0, 8.0, 2.0),
    "M2m": DodgePoint(6.0, 109.0, -51.0, 0.8, 20.0, 8.0, 1.4),
    "M3o": DodgePoint(4.7, 131.0, -49.0, 1.0, 20.0, 8.0, 1.7),
    "M3m": DodgePoint(6.5, 118.0, -58.0, 1.1, 27.0, 10.0, 1.4),
    "R1p": DodgePoint(0.5, -71.0, -22.0, 0.1, 19.0, 17.0, 4.0),
    "R1m": DodgePoint(1.7, -68.0, -24.0, 0.4, 14.0, 11.0, 3.9),
    "R2m": DodgePoint(4.6, -72.0, -48.0, 0.7, 11.0, 8.0, 3.4),
    "R3m": DodgePoint(6.4, -91.0, -69.0, 1.1, 64.0, 5.0, 3.1),
    "R4m": DodgePoint(6.2, 180.0, -66.0, 0.8, 19.0, 8.0, 2.2),
    "RDm": DodgePoint(7.6, 80.0, -76.0, 1.1, 60.0, 8.0, 2.0),
    "RIm": DodgePoint(7.6, 143.0, -68.0, 1.0, 25.0, 9.0, 1.4),
    "RPm": DodgePoint(8.0, 145.0, -56.0, 0.8, 21.0, 9.0, 1.4),
}
"""Normal adults: Dodge et al., Circulation 1988;78:1167-1180 (positions) and 1992;86:232-246 (diameters), as
transcribed in a public program. L anterior descending, C circumflex, R right artery and posterior descending,
D diagonal, S septal, M marginal, MR intermediate; o origin, p proximal, m middle of the segment."""


def spherical(offset_lps_mm: Array) -> Array:
    """Turn offsets (n, 3) from an ostium into Dodge's (radius cm, theta degrees, phi degrees).

    Examples
    --------
    >>> np.round(spherical(DODGE["L2m"].offset_lps_mm[None]), 3)
    array([[  5.3,  44. , -12. ]])
    """
    x, y, z = np.asarray(offset_lps_mm, np.float64).T
    radius = np.sqrt(x**2 + y**2 + z**2)
    theta = np.rad2deg(np.arctan2(x, -y))
    phi = np.rad2deg(np.arcsin(z / np.maximum(radius, 1e-9)))
    return np.stack([radius / 10.0, theta, phi], axis=1)
