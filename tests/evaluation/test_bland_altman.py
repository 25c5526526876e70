import pytest

from cacseg.errors import UsageError
from cacseg.evaluation.bland_altman import bland_altman

LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Peak flow in l/min, Bland and Altman 1986, Table 1, first readings with each meter."""


def test_the_published_example():
    agreement = bland_altman(MINI_METER, LARGE_METER)
    assert (round(agreement.bias, 1), round(agreement.sd, 1)) == (-2.1, 38.8)
    # The paper takes 2 SD: -79.7 and 75.5; with 1.96 SD they are a little narrower.
    assert (round(agreement.bias - 2 * agreement.sd, 1), round(agreement.bias + 2 * agreement.sd, 1)) == (-79.6, 75.4)
    assert (round(agreement.bias_se, 1), round(agreement.limit_se, 1)) == (9.4, 16.3)


def test_needs_two_pairs():
    with pytest.raises(UsageError, match="2 pairs"):
        bland_altman([1], [2])
    with pytest.raises(UsageError, match="2 pairs"):
        bland_altman([1, 2], [2])
