"""The steps of StyleGAN2: of its two networks and of their regularisers."""

from typing import TypedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.build import AnyGenerator
from sorby.models.conditioning import Judged
from sorby.models.convolution import DifferentiatedTwice
from sorby.seeds import Rows
from sorby.training.share import Share, add
from sorby.training.state import State
from sorby.training.steps import Augmentation, Batch, Scalars, compute_dtype, contrast, descend, spreads, still

W_MEAN_DECAY = 0.995
PATH_LENGTH_DECAY = 0.01
PATH_LENGTH_BATCH_SHRINK = 2


class Chance(TypedDict):
    """What the steps of both networks share."""

    augment: Augmentation
    rng: torch.Generator
    share: Share


def step(
    state: State,
    batch: Batch,
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> tuple[Scalars, Float[Tensor, "m s"]]:
    """One batch: both networks, and their regularisers when due; also the scores of this process's real images."""
    number, real, condition, (asked, asked_again) = batch
    share = share or Share.whole(len(real))
    chance: Chance = {"augment": augment, "rng": rng, "share": share}
    if config.updates == "simultaneous":
        scalars, real_scores = simultaneous_step(state, real, condition, asked, config, **chance)
    else:
        of_g = generator_step(state, asked, config, **chance)
        of_d, real_scores = discriminator_step(state, real, condition, asked_again, config, **chance)
        scalars = of_g | of_d
    if config.path_length_weight and number % config.path_length_interval == 0:
        scalars |= path_length_step(state, asked, config, rng=rng, share=share)
    if config.r1_gamma and number % config.r1_interval == 0:
        scalars |= r1_step(state, real, condition, config, augment=augment, share=share)
    return scalars, real_scores


def generator_step(
    state: State,
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> Scalars:
    """Pull the generator towards pictures that the discriminator calls real."""
    dtype = compute_dtype(config)
    share = share or Share.whole(len(condition))

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        y = rows.take(condition)
        fake, w = draw_fakes(state, y, config, rng=rng, rows=rows)
        judged = state.D.judge(augment(fake, rows), y, dtype=dtype)
        loss = rows.mean(losses.logistic_real(judged.scores)) + contrast(judged, y, config, share)
        return loss, {"loss_G": loss.detach(), "w": w}

    with still(state.D):
        scalars = descend(loss_of, state.opt_G, share, state.D)
    move_w_mean(state.G, scalars.pop("w"), share)
    return scalars


def path_length_step(
    state: State,
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    rng: torch.Generator,
    share: Share | None = None,
) -> Scalars:
    """Make equal steps in w change pictures equally (Karras et al. 2020a, equation 4), lazily."""
    condition = condition[: max(len(condition) // PATH_LENGTH_BATCH_SHRINK, 1)]
    share = Share.whole(len(condition)) if share is None else share.of(len(condition))

    def lengths_of(rows: Rows) -> Tensor:
        ws = mixed_styles(state.G, rows.take(condition), probability=config.style_mixing, rng=rng, rows=rows)
        with DifferentiatedTwice():
            images = state.G.synthesis(ws, draw_noise(state.G, rng=rng, rows=rows), dtype=compute_dtype(config))
        return losses.path_lengths(images, ws, rng=rng, rows=rows)

    def move_mean(lengths: list[Tensor]) -> Tensor:
        mean = state.path_length_mean.lerp(share.sum(torch.stack(lengths).sum()), PATH_LENGTH_DECAY)
        state.path_length_mean.copy_(mean)
        return mean

    known = None
    if share.num_parts > 1:  # the mean is that of all parts, so that it has to be known before any part learns
        before = rng.get_state()
        known = move_mean([rows.mean(lengths_of(rows).detach()) for rows in share.parts()])
        rng.set_state(before)

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        lengths = lengths_of(rows)
        length = rows.mean(lengths.detach())
        mean = move_mean([length.clone()]) if known is None else known
        penalty = rows.mean((lengths - mean).square())
        return penalty * config.path_length_weight * config.path_length_interval, {"path_length": length}

    return descend(loss_of, state.opt_G, share)


def discriminator_step(
    state: State,
    real: Float[Tensor, "m c h w"],
    real_condition: Float[Tensor, "m k"],
    fake_condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> tuple[Scalars, Float[Tensor, "m s"]]:
    """Teach the discriminator to tell real from generated, both in one call, which is faster than two.

    Also gives the scores of the real images, from which the augmentation adapts.
    """
    dtype = compute_dtype(config)
    share = share or Share.whole(len(real))
    real_scores = []

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        part, y, fake_y = share.mine(rows, real), share.mine(rows, real_condition), rows.take(fake_condition)
        with torch.no_grad():
            ws = mixed_styles(state.G, fake_y, probability=config.style_mixing, rng=rng, rows=rows)
            fake = state.G.synthesis(ws, draw_noise(state.G, rng=rng, rows=rows), dtype=dtype)
            images = augment(torch.cat([part, fake]), rows)
        judged = state.D.judge(images, torch.cat([y, fake_y]), dtype=dtype)
        of_real, fake_scores = judged.first(len(part)), judged.scores[len(part) :]
        loss = rows.mean(losses.logistic_real(of_real.scores)) + rows.mean(losses.logistic_fake(fake_scores))
        loss = loss + contrast(of_real, y, config, share)
        real_scores.append(of_real.scores.detach())
        return loss, _of_discriminator(loss, of_real, fake_scores, rows, share)

    return descend(loss_of, state.opt_D, share, state.D), torch.cat(real_scores)


def simultaneous_step(
    state: State,
    real: Float[Tensor, "m c h w"],
    real_condition: Float[Tensor, "m k"],
    fake_condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
    share: Share | None = None,
) -> tuple[Scalars, Float[Tensor, "m s"]]:
    """The steps of both networks from one batch of generated pictures, each by the other as it was before.

    Also gives the scores of the real images, as `discriminator_step` does.
    """
    dtype = compute_dtype(config)
    share = share or Share.whole(len(real))
    scalars: Scalars = {}
    real_scores = []
    state.opt_D.zero_grad(set_to_none=True)
    state.opt_G.zero_grad(set_to_none=True)
    for rows in share.parts(state.D):
        part, y, fake_y = share.mine(rows, real), share.mine(rows, real_condition), rows.take(fake_condition)
        fake, w = draw_fakes(state, fake_y, config, rng=rng, rows=rows)
        of_real = state.D.judge(augment(part, rows), y, dtype=dtype)
        of_fake = state.D.judge(augment(fake, rows), fake_y, dtype=dtype)
        loss_D = rows.mean(losses.logistic_real(of_real.scores)) + rows.mean(losses.logistic_fake(of_fake.scores))
        loss_D = loss_D + contrast(of_real, y, config, share)
        loss_G = rows.mean(losses.logistic_real(of_fake.scores)) + contrast(of_fake, fake_y, config, share)
        _add_gradients(loss_D, state.D, retain_graph=True)
        _add_gradients(loss_G, state.G)
        real_scores.append(of_real.scores.detach())
        of_d = _of_discriminator(loss_D, of_real, of_fake.scores, rows, share)
        add(scalars, {"loss_G": loss_G.detach(), **of_d, "w": w})
    for optimiser in (state.opt_D, state.opt_G):
        share.sum_gradients(optimiser)
        optimiser.step()
    move_w_mean(state.G, scalars.pop("w"), share)
    return scalars, torch.cat(real_scores)


def r1_step(
    state: State,
    real: Float[Tensor, "m c h w"],
    condition: Float[Tensor, "m k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    share: Share | None = None,
) -> Scalars:
    """Flatten the discriminator at the images that it is shown as real, lazily (Mescheder et al. 2018).

    The gradient is by the augmented image: those are what this discriminator sees.
    """
    share = share or Share.whole(len(real))

    def loss_of(rows: Rows) -> tuple[Tensor, Scalars]:
        images = augment(share.mine(rows, real), rows).detach().requires_grad_()
        with DifferentiatedTwice():
            scores = state.D(images, share.mine(rows, condition), dtype=compute_dtype(config))
        penalty = rows.mean(losses.r1_penalty(scores, images))
        return penalty * config.r1_gamma / 2 * config.r1_interval, {"r1": penalty.detach()}

    return descend(loss_of, state.opt_D, share, state.D)


def draw_fakes(
    state: State,
    condition: Float[Tensor, "m k"],
    config: TrainConfig,
    *,
    rng: torch.Generator,
    rows: Rows | None = None,
) -> tuple[Float[Tensor, "m c h w"], Float[Tensor, " d"]]:
    """Pictures to train the generator by, and what they add to the batch's mean of w."""
    rows = rows or Rows.whole(len(condition))
    ws = mixed_styles(state.G, condition, probability=config.style_mixing, rng=rng, rows=rows)
    images = state.G.synthesis(ws, draw_noise(state.G, rng=rng, rows=rows), dtype=compute_dtype(config))
    return images, ws.detach()[:, 0].mean(0) * rows.share


def move_w_mean(G: AnyGenerator, w: Float[Tensor, " d"], share: Share) -> None:
    """Pull the running mean of w, which truncation pulls to, to that of the batch."""
    G.w_mean.lerp_(share.sum(w), 1 - W_MEAN_DECAY)


def draw_noise(G: AnyGenerator, *, rng: torch.Generator, rows: Rows) -> list[Tensor]:
    """Noise for each layer of these rows of a batch."""
    return [rows.take(noise) for noise in G.synthesis.draw_noise(rows.of, rng=rng)]


def mixed_styles(
    G: AnyGenerator,
    condition: Float[Tensor, "m k"],
    *,
    probability: float,
    rng: torch.Generator,
    rows: Rows | None = None,
) -> Float[Tensor, "m l d"]:
    """Draw w for every layer; with `probability`, the layers from a random one on take theirs from a second latent
    (style mixing, Karras et al. 2019, section 3.1).
    """
    rows, device = rows or Rows.whole(len(condition)), rng.device
    z = torch.randn(2 * rows.of, G.z_dim, generator=rng, device=device)
    first_layer = torch.randint(1, G.num_styles, (rows.of,), generator=rng, device=device)
    unmixed = torch.rand(rows.of, generator=rng, device=device) >= probability
    first_layer = rows.take(first_layer.masked_fill(unmixed, G.num_styles))
    w, other = G.mapping(rows.take(z), condition.repeat(2, 1)).chunk(2)
    takes_other = torch.arange(G.num_styles, device=device) >= first_layer[:, None]
    return torch.where(takes_other[:, :, None], other[:, None], w[:, None])


def _add_gradients(loss: Tensor, network: nn.Module, *, retain_graph: bool = False) -> None:
    """Gradients for this network alone, of a loss that another one took part in."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    # e(y) has no part in some of the contrastive losses.
    gradients = torch.autograd.grad(loss, learning, retain_graph=retain_graph, materialize_grads=True)
    for parameter, gradient in zip(learning, gradients, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _of_discriminator(loss: Tensor, of_real: Judged, fake_scores: Tensor, rows: Rows, share: Share) -> Scalars:
    real_scores = of_real.scores.detach()
    return {
        "loss_D": loss.detach(),
        "r_t": rows.mean(real_scores.sign()),
        "score_real": rows.mean(real_scores),
        "score_fake": rows.mean(fake_scores.detach()),
        **spreads(of_real, share),
    }
