"""Dense anatomical classes of a digital patient: what the network is also taught, beside calcium."""

from enum import IntEnum


class Tissue(IntEnum):
    """Class of a voxel of the noise-free patient; the value is what label maps hold."""

    OUTSIDE = 0
    LUNG = 1
    AIRWAY = 2
    FAT = 3
    EPICARDIAL_FAT = 4
    SOFT = 5
    BONE = 6
    LIVER = 7
    LEFT_VENTRICLE = 8
    RIGHT_VENTRICLE = 9
    LEFT_ATRIUM = 10
    RIGHT_ATRIUM = 11
    MYOCARDIUM = 12
    ASCENDING_AORTA = 13
    DESCENDING_AORTA = 14
    PULMONARY_ARTERY = 15
    VEINS = 16
    AORTIC_VALVE = 17
    MITRAL_ANNULUS = 18
    DEVICE = 19
