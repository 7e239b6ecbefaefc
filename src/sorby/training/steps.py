"""The steps of the two networks and of their regularisers; each returns its scalars as tensors, not waited for."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sorby import losses
from sorby.config import TrainConfig
from sorby.models.stylegan2 import GeneratorNetwork
from sorby.training.state import State

W_MEAN_DECAY = 0.995
PATH_LENGTH_DECAY = 0.01
PATH_LENGTH_BATCH_SHRINK = 2

Scalars = dict[str, Tensor]
Augmentation = Callable[[Tensor], Tensor]


def compute_dtype(config: TrainConfig) -> torch.dtype:
    """Precision of the convolutions."""
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


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
    loss = losses.logistic_real(state.D(augment(fake), condition, dtype=dtype)).mean()
    _descend(loss, state.opt_G)
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
    _descend(penalty * config.path_length_weight * config.path_length_interval, state.opt_G)
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
    scores = state.D(images, torch.cat([real_condition, fake_condition]), dtype=dtype)
    real_scores, fake_scores = scores.split([len(real), len(fake)])
    loss = losses.logistic_real(real_scores).mean() + losses.logistic_fake(fake_scores).mean()
    _descend(loss, state.opt_D)
    return _of_discriminator(loss, real_scores, fake_scores), real_scores.detach()


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
    real_scores = state.D(augment(real), real_condition, dtype=dtype)
    fake_scores = state.D(augment(fake), fake_condition, dtype=dtype)
    loss_D = losses.logistic_real(real_scores).mean() + losses.logistic_fake(fake_scores).mean()
    loss_G = losses.logistic_real(fake_scores).mean()
    _put_gradients(loss_D, state.D, retain_graph=True)
    _put_gradients(loss_G, state.G)
    state.opt_D.step()
    state.opt_G.step()
    return {"loss_G": loss_G.detach(), **_of_discriminator(loss_D, real_scores, fake_scores)}, real_scores.detach()


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
    _descend(penalty * config.r1_gamma / 2 * config.r1_interval, state.opt_D)
    return {"r1": penalty.detach()}


def draw_fakes(
    state: State, condition: Float[Tensor, "n k"], config: TrainConfig, *, rng: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Pictures to train the generator by; moves the running mean of w."""
    ws = mixed_styles(state.G, condition, probability=config.style_mixing, rng=rng)
    state.G.w_mean.lerp_(ws.detach()[:, 0].mean(0), 1 - W_MEAN_DECAY)
    return state.G.synthesis(ws, state.G.synthesis.draw_noise(len(ws), rng=rng), dtype=compute_dtype(config))


def mixed_styles(
    G: GeneratorNetwork, condition: Float[Tensor, "n k"], *, probability: float, rng: torch.Generator
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


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _put_gradients(loss: Tensor, network: nn.Module, *, retain_graph: bool = False) -> None:
    """Gradients for this network alone, of a loss that another one took part in."""
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=retain_graph)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def _of_discriminator(loss: Tensor, real_scores: Tensor, fake_scores: Tensor) -> Scalars:
    return {
        "loss_D": loss.detach(),
        "r_t": real_scores.detach().sign().mean(),
        "score_real": real_scores.detach().mean(),
        "score_fake": fake_scores.detach().mean(),
    }
