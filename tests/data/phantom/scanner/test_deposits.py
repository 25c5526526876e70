import numpy as np
import pytest

from cacseg.data.phantom.scanner.deposits import BLOOD_HU, FINE_MM, FineLattice, Rod
from cacseg.data.phantom.scene import Deposit
from cacseg.vessels import Label
from cacseg.volume import Volume


def water(hu=40.0):
    return Volume.axial(np.full((61, 61, 61), hu, np.float32), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))


def body(start, end, radius, density, kind=Deposit, **rest):
    return kind(
        Label.LAD, "plaque", np.array([start]), np.array([end]), np.array([radius]), np.array([density]), **rest
    )


@pytest.mark.parametrize("radius", [0.15, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("length", [0.0, 7.3])
@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_the_mass_of_a_capsule_is_its_volume_times_its_density(radius, length, turn):
    direction = np.array([np.cos(turn), np.sin(turn) * 0.8, np.sin(turn) * 0.6])
    lattice = FineLattice(water(), 1.3)
    lattice.add(0, body((1.13, -2.2, 0.4), (1.13, -2.2, 0.4) + length * direction, radius, 500.0))
    expected = np.pi * radius**2 * (length + 4 / 3 * radius) * 500.0 / 1000.0
    # what is narrower than the lattice falls between its points
    tolerance = 0.03 if radius > FINE_MM else 0.08 if length > 0 else 0.25
    assert lattice.ha_mass_mg(1)[0] == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(("diameter", "mass"), [(5, 78.54), (3, 16.965), (1, 0.628)])
def test_the_rods_of_the_qrm_phantom_hold_their_mass(diameter, mass):
    lattice = FineLattice(water(), 1.3)
    half = diameter / 2
    lattice.add(0, body((0.07, 0.1, -half), (0.07, 0.1, half), half, 800.0, Rod))
    assert lattice.ha_mass_mg(1)[0] == pytest.approx(mass, rel=0.02)


def test_a_deposit_replaces_tissue_by_calcium_in_blood():
    lattice = FineLattice(water(-95.0), 1.25)
    lattice.add(0, body((0.0, 0.0, 0.0), (4.0, 0.0, 0.0), 2.0, 400.0))
    highest = max(block.added_hu.max() for block in lattice.blocks.values())
    assert highest == pytest.approx(BLOOD_HU + 1.25 * 400.0 + 95.0, rel=0.01)


def test_where_bodies_overlap_the_denser_one_wins_and_mass_is_not_counted_twice():
    alone = FineLattice(water(), 1.3)
    alone.add(0, body((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 2.0, 800.0))
    both = FineLattice(water(), 1.3)
    both.add(0, body((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 2.0, 800.0))
    both.add(1, body((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.8, 300.0))
    mass = both.ha_mass_mg(2)
    assert mass[0] == pytest.approx(alone.ha_mass_mg(1)[0], rel=0.01)
    assert mass[1] < 0.01 * mass[0]


def test_metal_has_the_hu_it_is_given_and_no_hydroxyapatite():
    lattice = FineLattice(water(), 1.3)
    lattice.add(0, body((0.0, 0.0, 0.0), (5.0, 0.0, 0.0), 1.0, 900.0, material="metal", metal_hu=9000.0))
    assert max(block.added_hu.max() for block in lattice.blocks.values()) == pytest.approx(8960.0, rel=0.03)
    assert lattice.ha_mass_mg(1)[0] == 0.0


def test_a_long_wire_touches_few_blocks():
    lattice = FineLattice(water(), 1.3)
    lattice.add(0, body((-28.0, -28.0, -28.0), (28.0, 28.0, 28.0), 0.5, 500.0))
    assert len(lattice.blocks) <= 50
