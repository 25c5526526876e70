"""One patient's anatomy on a grid: thorax, heart, great vessels and the coronary tree, without deposits.

World: LPS mm, origin at the centre of the heart; supine, a few patients prone. ``Scene.landmarks_lps_mm`` holds,
each (n, 3):

==========================  ===========================================================================
key                         what
==========================  ===========================================================================
heart_centre                1 point
aortic_valve                48 points of the annulus (hinge plane), from the left sinus to the back
aortic_leaflets             points along hinge and closure lines of the three cusps
aortic_sinuses              wall of the root, 6 rings of 36 points from annulus to sinotubular junction
sinotubular_junction        48 points of the ring where the tubular aorta begins
aortic_root_axis            8 points from annulus to sinotubular junction
mitral_annulus              60 points; the first 30 are the posterior arc, lateral to medial commissure
tricuspid_annulus           40 points
left_ostium, right_ostium   1 point each, on the surface of the root
bifurcation                 1 point, end of the left main
apex                        1 point, outer apex of the left ventricle
papillary_muscles           14 points in the left ventricle: 7 anterolateral, 7 posteromedial
pericardium                 300 points on the pericardium
left_atrial_appendage       4 points from mouth to tip
coronary_sinus              line
ascending_aorta_axis        line; with ascending_aorta_radius (n, 1)
aortic_arch_axis            line; with aortic_arch_radius (n, 1)
descending_aorta_axis       line, downwards; with descending_aorta_radius (n, 1)
pulmonary_trunk_axis        line; with pulmonary_trunk_radius (n, 1)
oesophagus_axis             line; with oesophagus_radius (n, 1)
right_pulmonary_artery_axis, left_pulmonary_artery_axis, superior_vena_cava_axis, trachea_axis,
right_bronchus_axis, left_bronchus_axis : lines
carina                      1 point
hilum_left, hilum_right     6 points each, where hilar nodes lie
spine_axis                  line through the vertebral bodies, 5 mm apart
sternum_axis                line through the sternum, from the xiphoid upwards, 5 mm apart
costal_cartilage            16 curves of 12 points each, one after the other
lung_points                 24 points somewhere in the lungs
skin_box                    lowest and highest corner of the body at heart level
==========================  ===========================================================================
"""

from cacseg.data.phantom.anatomy.build import Field, build_anatomy
from cacseg.data.phantom.anatomy.geometry import Geometry, build_geometry

__all__ = ["Field", "Geometry", "build_anatomy", "build_geometry"]
