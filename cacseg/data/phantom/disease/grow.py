"""How many of an ordered heap of capsules a wanted score needs."""

import numpy as np

from cacseg.data.phantom.disease.estimate import agatston
from cacseg.data.phantom.disease.pieces import Pieces
from cacseg.volume import Volume


def grow_to(heap: Pieces, wanted_agatston: float, tissue_hu: Volume, tolerance: float = 0.12) -> Pieces:
    """Keep the first capsules of a heap, as many as reach a score.

    Parameters
    ----------
    heap : capsules in the order in which calcium grows, core first.
    wanted_agatston : score aimed at.
    tissue_hu : the patient without them.
    tolerance : relative error at which the search ends.

    Returns
    -------
    Capsules; the whole heap when even that scores less.
    """
    low, high = 1, len(heap)
    guess = min(high, max(1, round(wanted_agatston / 5)))
    for _ in range(8):
        if low >= high:
            break
        score = agatston(heap.take(slice(0, guess)), tissue_hu)
        if abs(score - wanted_agatston) <= tolerance * wanted_agatston:
            return heap.take(slice(0, guess))
        if score < wanted_agatston:
            low = guess + 1
        else:
            high = guess
        towards = int(guess * np.clip(wanted_agatston / max(score, 0.1), 0.25, 4.0))
        guess = towards if low < towards < high else (low + high) // 2
    return heap.take(slice(0, min(low, len(heap))))
