"""The steps of paper B: a critic of Wasserstein's distance, and a generator that learns more seldom."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.conditioning import Judged
from sorby.training.state import State
from sorby.training.steps import Augmentation, Batch, Scalars, compute_dtype, contrast, descend, spreads


def step(
    state: State, batch: Batch, config: TrainConfig, *, augment: Augmentation, rng: torch.Generator
) -> tuple[Scalars, Float[Tensor, "n s"]]:
    """One batch for the critic, and every `n_critic` batches one for the generator; also how the real images scored.

    The level of a critic's scores says nothing, so that they are counted from the middle between the mean scores of
    real and generated images: where a critic knows its training images, all of them lie above it.
    """
    scalars, of_real, fake_scores = critic_step(state, batch.real, batch.condition, config, augment=augment, rng=rng)
    if batch.number % config.n_critic == config.n_critic - 1:
        scalars |= generator_step(state, batch.asked[0], config, augment=augment, rng=rng)
    real_scores = of_real.scores.detach()
    centred = real_scores - (real_scores.mean() + fake_scores.mean()) / 2
    return {**scalars, "r_t": centred.sign().mean()}, centred


def critic_step(
    state: State,
    real: Float[Tensor, "n c h w"],
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
) -> tuple[Scalars, Judged, Float[Tensor, "n s"]]:
    """Part the scores of real images from those of pictures drawn for the same conditions (paper B, equation 2).

    The contrastive loss is of the real images. Real and generated ones are judged apart, since the critic may normalise
    over the batch. Also gives what the critic said of the real images, and the scores of the others.
    """
    dtype = compute_dtype(config)
    with torch.no_grad():
        fake = augment(draw(state, condition, config, rng=rng))
        real = augment(real)
    of_real = state.D.judge(real, condition, dtype=dtype)
    fake_scores = state.D(fake, condition, dtype=dtype)
    loss = losses.wasserstein_real(of_real.scores).mean() + losses.wasserstein_fake(fake_scores).mean()
    loss = loss + contrast(of_real, condition, config)
    scalars = {
        "loss_D": loss.detach(),
        "score_real": of_real.scores.detach().mean(),
        "score_fake": fake_scores.detach().mean(),
        **spreads(of_real),
    }
    if config.gradient_penalty:
        between = mixed(real, fake, rng=rng)
        penalty = losses.gradient_penalty(state.D(between, condition, dtype=dtype), between).mean()
        loss = loss + config.gradient_penalty * penalty
        scalars["gradient_penalty"] = penalty.detach()
    descend(loss, state.opt_D)
    if config.weight_clip is not None:
        clip(state.D, config.weight_clip)
    return scalars, of_real, fake_scores.detach()


def generator_step(
    state: State,
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
) -> Scalars:
    """Pull the generator towards pictures that the critic scores high, and whose l(x) suit their conditions."""
    state.D.requires_grad_(False)
    fake = draw(state, condition, config, rng=rng)
    judged = state.D.judge(augment(fake), condition, dtype=compute_dtype(config))
    loss = losses.wasserstein_real(judged.scores).mean() + contrast(judged, condition, config)
    descend(loss, state.opt_G)
    state.D.requires_grad_(True)
    return {"loss_G": loss.detach()}


def draw(
    state: State, condition: Float[Tensor, "n k"], config: TrainConfig, *, rng: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Pictures to train by."""
    z = torch.randn(len(condition), state.G.z_dim, generator=rng, device=rng.device)
    return state.G(z, condition, [], dtype=compute_dtype(config))


def mixed(
    real: Float[Tensor, "n c h w"], fake: Float[Tensor, "n c h w"], *, rng: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Places on the straight lines from real images to generated ones, where the gradient is held to 1."""
    share = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device)
    return torch.lerp(real, fake, share).requires_grad_()


@torch.no_grad()
def clip(critic: nn.Module, bound: float) -> None:
    """Force every weight into [-bound, bound], those of normalisation layers too, as in Arjovsky et al. 2017."""
    weights: list[Tensor] = list(critic.parameters())
    torch._foreach_clamp_min_(weights, -bound)
    torch._foreach_clamp_max_(weights, bound)
