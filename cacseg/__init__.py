"""Coronary calcium scoring from non-contrast CT of the heart.

    study -> ledger, chosen series -> Volume -> candidates -> vessel of each candidate -> lesions
          -> scores -> Result -> reports

``cacseg.pipeline`` holds that line as one function; every other package implements one arrow of it.
"""

from typing import Final

__version__: Final = "0.1.0"
