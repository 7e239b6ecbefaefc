"""The steps of StyleGAN2: of its two networks and of their regularisers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.build import AnyGenerator
from sorby.models.conditioning import Judged
from sorby.training.state import State
from sorby.training.steps import Augmentation, Batch, Scalars, compute_dtype, contrast, descend, spreads

W_MEAN_DECAY = 0.995
PATH_LENGTH_DECAY = 0.01
PATH_LENGTH_BATCH_SHRINK = 2


def step(
    state: State, batch: Batch, config: TrainConfig, *, augment: Augmentation, rng: torch.Generator
) -> tuple[Scalars, Float[Tensor, "n s"]]:
    """One batch: both networks, and their regularisers when due; also the scores of the real images."""
    number, real, condition, (asked, asked_again) = batch
    if config.updates == "simultaneous":
        scalars, real_scores = simultaneous_step(state, real, condition, asked, config, augment=augment, rng=rng)
    else:
        of_g = generator_step(state, asked, config, augment=augment, rng=rng)
        of_d, real_scores = discriminator_step(state, real, condition, asked_again, config, augment=augment, rng=rng)
        scalars = of_g | of_d
    if config.path_length_weight and number % config.path_length_interval == 0:
        scalars |= path_length_step(state, asked, config, rng=rng)
    if config.r1_gamma and number % config.r1_interval == 0:
        scalars |= r1_step(state, real, condition, config, augment=augment)
    return scalars, real_scores


def generator_step(
    state: State,
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
) -> Scalars:
    """Pull the generator towards pictures that the discriminator calls real."""
    dtype = compute_dtype(config)
    state.D.requires_grad_(False)
    fake = draw_fakes(state, condition, config, rng=rng)
    judged = state.D.judge(augment(fake), condition, dtype=dtype)
    loss = losses.logistic_real(judged.scores).mean() + contrast(judged, condition, config)
    descend(loss, state.opt_G)
    state.D.requires_grad_(True)
    return {"loss_G": loss.detach()}


def path_length_step(
    state: State, condition: Float[Tensor, "n k"], config: TrainConfig, *, rng: torch.Generator
) -> Scalars:
    """Make equal steps in w change pictures equally (Karras et al. 2020a, equation 4), lazily."""
    condition = condition[: max(len(condition) // PATH_LENGTH_BATCH_SHRINK, 1)]
    ws = mixed_styles(state.G, condition, probability=config.style_mixing, rng=rng)
    noise = state.G.synthesis.draw_noise(len(ws), rng=rng)
    images = state.G.synthesis(ws, noise, dtype=compute_dtype(config))
    lengths = losses.path_lengths(images, ws, rng=rng)
    mean = state.path_length_mean.lerp(lengths.mean().detach(), PATH_LENGTH_DECAY)
    state.path_length_mean.copy_(mean)
    penalty = (lengths - mean).square().mean()
    descend(penalty * config.path_length_weight * config.path_length_interval, state.opt_G)
    return {"path_length": lengths.mean().detach()}


def discriminator_step(
    state: State,
    real: Float[Tensor, "n c h w"],
    real_condition: Float[Tensor, "n k"],
    fake_condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
) -> tuple[Scalars, Float[Tensor, "n s"]]:
    """Teach the discriminator to tell real from generated, both in one call, which is faster than two.

    Also gives the scores of the real images, from which the augmentation adapts.
    """
    dtype = compute_dtype(config)
    with torch.no_grad():
        ws = mixed_styles(state.G, fake_condition, probability=config.style_mixing, rng=rng)
        fake = state.G.synthesis(ws, state.G.synthesis.draw_noise(len(ws), rng=rng), dtype=dtype)
        images = augment(torch.cat([real, fake]))
    judged = state.D.judge(images, torch.cat([real_condition, fake_condition]), dtype=dtype)
    of_real, fake_scores = judged.first(len(real)), judged.scores[len(real) :]
    loss = losses.logistic_real(of_real.scores).mean() + losses.logistic_fake(fake_scores).mean()
    loss = loss + contrast(of_real, real_condition, config)
    descend(loss, state.opt_D)
    return _of_discriminator(loss, of_real, fake_scores), of_real.scores.detach()


def simultaneous_step(
    state: State,
    real: Float[Tensor, "n c h w"],
    real_condition: Float[Tensor, "n k"],
    fake_condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
    rng: torch.Generator,
) -> tuple[Scalars, Float[Tensor, "n s"]]:
    """The steps of both networks from one batch of generated pictures, each by the other as it was before.

    Also gives the scores of the real images, as `discriminator_step` does.
    """
    dtype = compute_dtype(config)
    fake = draw_fakes(state, fake_condition, config, rng=rng)
    of_real = state.D.judge(augment(real), real_condition, dtype=dtype)
    of_fake = state.D.judge(augment(fake), fake_condition, dtype=dtype)
    loss_D = losses.logistic_real(of_real.scores).mean() + losses.logistic_fake(of_fake.scores).mean()
    loss_D = loss_D + contrast(of_real, real_condition, config)
    loss_G = losses.logistic_real(of_fake.scores).mean() + contrast(of_fake, fake_condition, config)
    _put_gradients(loss_D, state.D, retain_graph=True)
    _put_gradients(loss_G, state.G)
    state.opt_D.step()
    state.opt_G.step()
    scalars = {"loss_G": loss_G.detach(), **_of_discriminator(loss_D, of_real, of_fake.scores)}
    return scalars, of_real.scores.detach()


def r1_step(
    state: State,
    real: Float[Tensor, "n c h w"],
    condition: Float[Tensor, "n k"],
    config: TrainConfig,
    *,
    augment: Augmentation,
) -> Scalars:
    """Flatten the discriminator at the images that it is shown as real, lazily (Mescheder et al. 2018).

    The gradient is by the augmented image: those are what this discriminator sees.
    """
    images = augment(real).detach().requires_grad_()
    penalty = losses.r1_penalty(state.D(images, condition, dtype=compute_dtype(config)), images).mean()
    descend(penalty * config.r1_gamma / 2 * config.r1_interval, state.opt_D)
    return {"r1": penalty.detach()}


def draw_fakes(
    state: State, condition: Float[Tensor, "n k"], config: TrainConfig, *, rng: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Pictures to train the generator by; moves the running mean of w."""
    ws = mixed_styles(state.G, condition, probability=config.style_mixing, rng=rng)
    state.G.w_mean.lerp_(ws.detach()[:, 0].mean(0), 1 - W_MEAN_DECAY)
    return state.G.synthesis(ws, state.G.synthesis.draw_noise(len(ws), rng=rng), dtype=compute_dtype(config))


def mixed_styles(
    G: AnyGenerator, condition: Float[Tensor, "n k"], *, probability: float, rng: torch.Generator
) -> Float[Tensor, "n l d"]:
    """Draw w for every layer; with `probability`, the layers from a random one on take theirs from a second latent
    (style mixing, Karras et al. 2019, section 3.1).
    """
    n, device = len(condition), rng.device
    z = torch.randn(2 * n, G.z_dim, generator=rng, device=device)
    first_layer = torch.randint(1, G.num_styles, (n,), generator=rng, device=device)
    unmixed = torch.rand(n, generator=rng, device=device) >= probability
    first_layer = first_layer.masked_fill(unmixed, G.num_styles)
    w, other = G.mapping(z, condition.repeat(2, 1)).chunk(2)
    takes_other = torch.arange(G.num_styles, device=device) >= first_layer[:, None]
    return torch.where(takes_other[:, :, None], other[:, None], w[:, None])


def _put_gradients(loss: Tensor, network: nn.Module, *, retain_graph: bool = False) -> None:
    """Gradients for this network alone, of a loss that another one took part in."""
    parameters = list(network.parameters())
    # e(y) has no part in some of the contrastive losses.
    gradients = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, materialize_grads=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _of_discriminator(loss: Tensor, of_real: Judged, fake_scores: Tensor) -> Scalars:
    return {
        "loss_D": loss.detach(),
        "r_t": of_real.scores.detach().sign().mean(),
        "score_real": of_real.scores.detach().mean(),
        "score_fake": fake_scores.detach().mean(),
        **spreads(of_real),
    }
