"""How a digital patient is scanned and reconstructed: one immutable set of numbers."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cacseg.errors import UsageError

Texture = Literal["fbp", "sharp", "iterative"]
Family = Literal["gated", "shifted", "chest", "contrast"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One acquisition with its reconstruction.

    Parameters
    ----------
    family : the family of protocols that it was drawn from.
    kvp, tin_filter : beam quality ("Sn100" is 100 with the filter).
    ha_slope_hu : HU added by 1 mg/cm3 of hydroxyapatite in this beam on this scanner.
    slice_thickness_mm, increment_mm : width of the slice profile, distance between slices.
    first_slice_offset_mm : shift of the whole stack of slices along z, at random in a real scan.
    slices : number of slices; ``None`` covers the heart with ``margin_mm`` above and below.
    z_start_mm : centre of the first slice in LPS; ``None`` derives it from the heart.
    field_of_view_mm, matrix : square reconstruction; the pixel spacing is their ratio.
    centre_lps_mm : (x, y) of the centre of the field of view; ``None`` takes the heart's.
    shift_mm : (x, y) displacement of that centre.
    margin_mm : (below, above) the heart, where ``slices`` is ``None``.
    sigma_mm : Gaussian in-plane blur (SD) of kernel, focal spot and detector together.
    edge_enhancement : weight of the negative lobe of a sharp kernel, 0 for none.
    noise_sd_hu : SD in homogeneous tissue at the centre of the heart.
    texture, noise_cutoff_lpmm : shape of the noise power spectrum and where it has fallen to half.
    centre_noise_gain : how much noisier the centre of the body is than its edge, 0 for even noise.
    noise_unevenness : relative SD of the local noise level, 0 for none.
    noise_streakiness : share of the noise power that has a direction, which turns from place to place, 0 to 1.
    streak_sd_hu : SD of streaks from side to side (shoulders, arms).
    cupping_hu : how far the body's centre lies too low.
    hardening : strength of the dark bands beside dense calcium and metal, about 0 to 2.
    motion_mm : residual displacement of the left anterior descending during the exposure; others scale with it.
    step_mm : SD of the displacement between gated slabs, or between breaths.
    slab_slices : slices of one gated slab.
    gated : whether the scan was triggered by the heart beat.
    vendor, model_name, kernel_name : as the DICOM writer names them.
    padding_hu : value outside the circular field of view, ``None`` for reconstructed corners.
    """

    family: Family
    kvp: int
    ha_slope_hu: float
    slice_thickness_mm: float
    increment_mm: float
    field_of_view_mm: float
    sigma_mm: float
    noise_sd_hu: float
    noise_cutoff_lpmm: float
    tin_filter: bool = False
    first_slice_offset_mm: float = 0.0
    slices: int | None = None
    z_start_mm: float | None = None
    matrix: int = 512
    centre_lps_mm: tuple[float, float] | None = None
    shift_mm: tuple[float, float] = (0.0, 0.0)
    margin_mm: tuple[float, float] = (12.0, 15.0)
    edge_enhancement: float = 0.0
    texture: Texture = "fbp"
    centre_noise_gain: float = 0.0
    noise_unevenness: float = 0.0
    noise_streakiness: float = 0.0
    streak_sd_hu: float = 0.0
    cupping_hu: float = 0.0
    hardening: float = 0.0
    motion_mm: float = 0.0
    step_mm: float = 0.0
    slab_slices: int = 12
    gated: bool = True
    vendor: str = "Canon"
    model_name: str = "Phantom"
    kernel_name: str = "FC12"
    padding_hu: int | None = None
    patient_position: str = "HFS"

    def __post_init__(self) -> None:
        """Refuse numbers that no scanner has."""
        positive = ("slice_thickness_mm", "increment_mm", "field_of_view_mm", "sigma_mm", "matrix", "ha_slope_hu")
        for name in positive:
            if not getattr(self, name) > 0:
                raise UsageError(f"Protocol.{name} must be above 0; got {getattr(self, name)}.")
        if not 0 <= self.noise_streakiness <= 1:
            raise UsageError(f"Protocol.noise_streakiness must lie in 0 to 1; got {self.noise_streakiness}.")
        if self.noise_sd_hu < 0:
            raise UsageError(f"Protocol.noise_sd_hu must not be negative; got {self.noise_sd_hu}.")

    @property
    def pixel_mm(self) -> float:
        """Pixel spacing."""
        return self.field_of_view_mm / self.matrix

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
