import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacseg.errors import UsageError
from cacseg.scoring.category import SCHEMES, category_of, format_agatston

SCORES = st.floats(min_value=0, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@given(agatston=SCORES)
def test_every_score_falls_in_exactly_one_category(scheme, agatston):
    holding = [category for category in SCHEMES[scheme] if category.holds(agatston)]
    assert holding == [category_of(agatston, scheme)]
    assert (holding[0].name == "0") == (agatston == 0)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@given(one=SCORES, other=SCORES)
def test_a_higher_score_never_has_a_lower_category(scheme, one, other):
    names = [category.name for category in SCHEMES[scheme]]
    low, high = sorted((one, other))
    assert names.index(category_of(low, scheme).name) <= names.index(category_of(high, scheme).name)


@pytest.mark.parametrize(
    ("agatston", "name", "drs"),
    [
        (0.0, "0", "0"),
        (math.ulp(0.0), "1-10", "1-99"),
        (0.4, "1-10", "1-99"),
        (10.0, "1-10", "1-99"),
        (10.5, "11-100", "1-99"),
        (99.99, "11-100", "1-99"),
        (100.0, "11-100", "100-299"),
        (100.3, "101-400", "100-299"),
        (299.999, "101-400", "100-299"),
        (300.0, "101-400", ">=300"),
        (400.0, "101-400", ">=300"),
        (400.001, ">400", ">=300"),
    ],
)
def test_the_edges_of_both_schemes(agatston, name, drs):
    assert category_of(agatston).name == name
    assert category_of(agatston, "cac_drs").name == drs


@given(agatston=st.floats(min_value=0, max_value=1e7, exclude_min=True), decimals=st.integers(0, 4))
def test_a_score_above_zero_never_prints_as_zero(agatston, decimals):
    text = format_agatston(agatston, decimals)
    assert text.startswith("<") or float(text) > 0
    assert format_agatston(0.0, decimals) == "0"


@pytest.mark.parametrize("agatston", [-0.1, math.nan])
def test_what_is_no_score_is_refused(agatston):
    with pytest.raises(UsageError, match=">= 0"):
        category_of(agatston)
    with pytest.raises(UsageError, match=">= 0"):
        format_agatston(agatston)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(UsageError, match="agatston, cac_drs"):
        category_of(1.0, "rumberger")
