"""Edits of a place in the space of a generator, such as that of a projected micrograph."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sorby.errors import ConfigError
from sorby.generator import Generator, Values
from sorby.latent.directions import Direction, by_name, offset
from sorby.latent.walk import Point, Stop, Walk, stops


@dataclass(frozen=True)
class Edit:
    """What is done to a place, in this order; as it stands, nothing."""

    truncation: float = 1.0
    """Pulls w towards its mean at the condition: 1 leaves it, 0 is the mean."""
    seed: int = 0
    share: float = 0.0
    """How far to walk to the picture of `seed`, at the same condition and truncation: 0 to 1."""
    moves: Mapping[str, float] = field(default_factory=dict)
    """Standard deviations along directions, by name."""
    noise_seed: int | None = None
    """Seed whose noise is taken, in place of what was found."""

    def tell(self) -> str:
        """For people: `truncation 0.5, pca-1 +2 sd`."""
        parts = [f"truncation {self.truncation:g}"] if self.truncation != 1 else []
        parts += [f"{self.share:g} of the way to seed {self.seed}"] if self.share else []
        parts += [f"{name} {amount:+g} sd" for name, amount in self.moves.items() if amount]
        parts += [] if self.noise_seed is None else [f"noise of seed {self.noise_seed}"]
        return ", ".join(parts) or "none"


def edited(
    generator: Generator, place: Stop, edit: Edit, *, condition: Values, directions: tuple[Direction, ...] = ()
) -> Point:
    """What the edited picture is drawn from. `condition` is that of `place`, {} without any.

    Raises `ConfigError` for a truncation or a share outside 0 to 1, and for a direction that is not known.
    """
    for name, value in (("Truncation", edit.truncation), ("The way to a seed", edit.share)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}, expected 0 to 1.")
    mean = generator.mean_w(generator.encoded([0], condition))
    start = Stop(place.name, mean + edit.truncation * (place.ws - mean), place.noise)
    (end,) = stops(generator, [edit.seed], conditions=[condition or None], truncations=[edit.truncation])
    ws, noise = Walk(generator, [start, end], way="w").at(edit.share)
    chosen = [by_name(directions, name) for name in edit.moves]
    ws = ws + offset(generator, chosen, list(edit.moves.values())).to(ws)
    if edit.noise_seed is not None:
        noise = tuple(layer[0] for layer in generator.latents([edit.noise_seed]).noise)
    return Point(ws, noise)
