"""The steps of paper B: a critic of Wasserstein's distance, and a generator that learns more seldom."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.seeds import Rows
from sorby.training.share import Share
from sorby.training.state import State
from sorby.training.steps import Augmentation, Batch, Scalars, compute_dtype, contrast, descend, spreads, still


def step(
    state: State,
    batch: Batch,
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> tuple[Scalars, Float[Tensor, "m s"]]:
    """One batch for the critic, and every `n_critic` batches one for the generator; also how the real images scored.

    The level of a critic's scores says nothing, so that they are counted from the middle between the mean scores of
    real and generated images: where a critic knows its training images, all of them lie above it.
    """
    share = share or Share.whole(len(batch.real))
    scalars, real_scores = critic_step(
        state, batch.real, batch.condition, config, augment=augment, rng=rng, share=share
    )
    if batch.number % config.n_critic == config.n_critic - 1:
        scalars |= generator_step(state, batch.asked[0], config, augment=augment, rng=rng, share=share)
    middle = share.sum(scalars["score_real"] + scalars["score_fake"]) / 2
    centred = real_scores - middle
    return {**scalars, "r_t": share.rows.mean(centred.sign())}, centred


def critic_step(
    state: State,
    real: Float[Tensor, "m c h w"],
    condition: Float[Tensor, "m k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> tuple[Scalars, Float[Tensor, "m s"]]:
    """Part the scores of real images from those of pictures drawn for the same conditions (paper B, equation 2).

    The contrastive loss is of the real images. Real and generated ones are judged apart, since the critic may normalise
    over the batch. Also gives the scores of the real images.
    """
    dtype = compute_dtype(config)
    share = share or Share.whole(len(real))
    real_scores = []

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        y = share.mine(rows, condition)
        with torch.no_grad():
            fake = augment(draw(state, y, config, rng=rng, rows=rows), rows)
            shown = augment(share.mine(rows, real), rows)
        of_real = state.D.judge(shown, y, dtype=dtype)
        fake_scores = state.D(fake, y, dtype=dtype)
        loss = rows.mean(losses.wasserstein_real(of_real.scores)) + rows.mean(losses.wasserstein_fake(fake_scores))
        loss = loss + contrast(of_real, y, config, share)
        real_scores.append(of_real.scores.detach())
        scalars = {
            "loss_D": loss.detach(),
            "score_real": rows.mean(of_real.scores.detach()),
            "score_fake": rows.mean(fake_scores.detach()),
            **spreads(of_real, share),
        }
        if config.gradient_penalty:
            between = mixed(shown, fake, rng=rng, rows=rows)
            penalty = rows.mean(losses.gradient_penalty(state.D(between, y, dtype=dtype), between))
            loss = loss + config.gradient_penalty * penalty
            scalars["gradient_penalty"] = penalty.detach()
        return loss, scalars

    scalars = descend(loss_of, state.opt_D, share, state.D, state.G)
    if config.weight_clip is not None:
        clip(state.D, config.weight_clip)
    return scalars, torch.cat(real_scores)


def generator_step(
    state: State,
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> Scalars:
    """Pull the generator towards pictures that the critic scores high, and whose l(x) suit their conditions."""
    share = share or Share.whole(len(condition))

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        y = rows.take(condition)
        fake = draw(state, y, config, rng=rng, rows=rows)
        judged = state.D.judge(augment(fake, rows), y, dtype=compute_dtype(config))
        loss = rows.mean(losses.wasserstein_real(judged.scores)) + contrast(judged, y, config, share)
        return loss, {"loss_G": loss.detach()}

    with still(state.D):
        return descend(loss_of, state.opt_G, share, state.D, state.G)


def draw(
    state: State,
    condition: Float[Tensor, "m k"],
    config: TrainConfig,
    *,
    rng: torch.Generator,
    rows: Rows | None = None,
) -> Float[Tensor, "m c h w"]:
    """Pictures to train by."""
    rows = rows or Rows.whole(len(condition))
    z = rows.take(torch.randn(rows.of, state.G.z_dim, generator=rng, device=rng.device))
    return state.G(z, condition, [], dtype=compute_dtype(config))


def mixed(
    real: Float[Tensor, "m c h w"],
    fake: Float[Tensor, "m c h w"],
    *,
    rng: torch.Generator,
    rows: Rows | None = None,
) -> Float[Tensor, "m c h w"]:
    """Places on the straight lines from real images to generated ones, where the gradient is held to 1."""
    rows = rows or Rows.whole(len(real))
    share = rows.take(torch.rand(rows.of, 1, 1, 1, generator=rng, device=rng.device))
    return torch.lerp(real, fake, share).requires_grad_()


@torch.no_grad()
def clip(critic: nn.Module, bound: float) -> None:
    """Force every weight that learns into [-bound, bound], of normalisation layers too (Arjovsky et al. 2017)."""
    weights: list[Tensor] = [weight for weight in critic.parameters() if weight.requires_grad]
    torch._foreach_clamp_min_(weights, -bound)
    torch._foreach_clamp_max_(weights, bound)
