"""CAC-DRS: one string for how much calcium and in how many arteries."""

from typing import Final

from cacseg.errors import UsageError
from cacseg.scoring.category import CAC_DRS_CATEGORIES, category_of

SOURCE: Final = "Hecht et al. J Cardiovasc Comput Tomogr 2018;12:185-191, doi:10.1016/j.jcct.2018.03.008"


def cac_drs(agatston: float, vessels: int) -> str:
    """Name the CAC-DRS class of a measured score.

    Parameters
    ----------
    agatston : unrounded total score.
    vessels : number of arteries with calcium among LM, LAD, LCX, RCA.

    Raises
    ------
    UsageError : the number of vessels is not 0 to 4.

    Examples
    --------
    >>> cac_drs(299.0, 3), cac_drs(300.0, 2)
    ('A2/N3', 'A3/N2')
    """
    return f"A{CAC_DRS_CATEGORIES.index(category_of(agatston, 'cac_drs'))}/N{_checked(vessels)}"


def cac_drs_visual(grade: int, vessels: int) -> str:
    """Name the CAC-DRS class of a reader's visual grade (0 none to 3 severe), where no score is possible.

    Examples
    --------
    >>> cac_drs_visual(2, 3)
    'V2/N3'
    """
    if grade not in range(4):
        raise UsageError(f"A visual CAC-DRS grade is 0, 1, 2 or 3; got {grade!r}.")
    return f"V{grade}/N{_checked(vessels)}"


def _checked(vessels: int) -> int:
    if vessels not in range(5):
        raise UsageError(f"CAC-DRS counts 0 to 4 arteries (LM, LAD, LCX, RCA); got {vessels!r}.")
    return vessels
