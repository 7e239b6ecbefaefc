"""Numbers measured in pixels, in the units that they are told in."""

from sorby.microstructure.describe import Quantity

UNITS = {
    1: (("px", "_px"), ("µm", "_um")),
    -1: (("px⁻¹", "_per_px"), ("µm⁻¹", "_per_um")),
    -2: (("px⁻²", "_per_px2"), ("mm⁻²", "_per_mm2")),
}
"""By the power of length: the unit and the end of the column's name without a pixel size, and with one."""


def in_units(quantity: Quantity, value: float | None, pixel_size_um: float | None) -> dict[str, float | None]:
    """A value by the names of its columns, in pixels and in micrometres (numbers per area: per mm²).

    >>> in_units(Quantity("mean_chord", "", 1), 8.0, 0.5)
    {'mean_chord_px': 8.0, 'mean_chord_um': 4.0}
    >>> in_units(Quantity("particle_density", "", -2), 0.25, None)
    {'particle_density_per_px2': 0.25, 'particle_density_per_mm2': None}
    """
    if quantity.power == 0:
        return {quantity.name: value}
    in_px, in_um = (quantity.name + end for _, end in UNITS[quantity.power])
    known = value is not None and pixel_size_um is not None
    return {in_px: value, in_um: value * unit_of(quantity, pixel_size_um)[0] if known else None}  # type: ignore[operator]


def unit_of(quantity: Quantity, pixel_size_um: float | None) -> tuple[float, str]:
    """What a value in pixels is multiplied by, and the unit it has then.

    >>> unit_of(Quantity("mean_chord", "", 1), 0.5), unit_of(Quantity("mean_chord", "", 1), None)
    ((0.5, 'µm'), (1.0, 'px'))
    """
    if quantity.power == 0:
        return 1.0, "grey levels" if quantity.name == "contrast" else ""
    (px, _), (um, _) = UNITS[quantity.power]
    if pixel_size_um is None:
        return 1.0, px
    return pixel_size_um**quantity.power * (1e6 if um == "mm⁻²" else 1), um
