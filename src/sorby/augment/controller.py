"""Adaptive discriminator augmentation: how strongly to augment, from how sure the discriminator is of the training set.

r_t = E[sign(D_train)] (equation 1 of Karras et al. 2020) is 0 without overfitting and 1 with complete overfitting.
"""

from dataclasses import asdict, dataclass, replace

from jaxtyping import Float
from torch import Tensor

HIGH_P = 0.8  # above it, augmentations leak into the generated pictures (Karras et al. 2020, figure 4)


@dataclass(frozen=True)
class AdaState:
    """All that the controller remembers."""

    p: float = 0.0
    """Probability of each augmentation, 0..1."""
    sign_sum: float | Tensor = 0.0
    """Sum of sign(D) over the real images since the last adjustment, of an image's mean where it has several scores;
    left on its device, unread, until the next adjustment."""
    num_images: int = 0
    """Real images since the last adjustment."""
    num_batches: int = 0
    """Batches since the last adjustment."""
    r_t: float | None = None
    """Overfitting measured at the last adjustment, -1..1; none before the first."""

    def numbers(self) -> dict[str, float | None]:
        """All of it, read from the device: what `AdaState(**numbers)` goes on from."""
        return asdict(replace(self, sign_sum=float(self.sign_sum)))


def observe(
    state: AdaState, real_scores: Float[Tensor, "n *k"], *, target: float, interval: int = 4, ada_kimg: float = 500.0
) -> AdaState:
    """Take in the discriminator's scores of one batch of real images; adjust `p` after every `interval` batches.

    `p` rises where r_t is above `target` and falls where it is below, at the pace that takes it from 0 to 1 within
    `ada_kimg` thousand images, and never leaves 0..1.
    """
    state = replace(
        state,
        sign_sum=state.sign_sum + real_scores.detach().sign().reshape(len(real_scores), -1).mean(1).sum(),
        num_images=state.num_images + len(real_scores),
        num_batches=state.num_batches + 1,
    )
    return state if state.num_batches < interval else _adjust(state, target=target, pace=1 / (1000 * ada_kimg))


def _adjust(state: AdaState, *, target: float, pace: float) -> AdaState:
    r_t = float(state.sign_sum) / state.num_images
    direction = (r_t > target) - (r_t < target)
    p = min(max(state.p + direction * state.num_images * pace, 0.0), 1.0)
    return AdaState(p=p, r_t=r_t)
