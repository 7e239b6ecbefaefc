"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with Limited Data"), written from the paper.

augment = Augment(families=("blit", "geom"))
images = augment(images, p=state.p, rng=rng)
state = observe(state, real_scores, target=0.5)
"""

from sorby.augment.controller import AdaState, observe
from sorby.augment.pipeline import FAMILIES, MOVES, Augment

__all__ = ["FAMILIES", "MOVES", "AdaState", "Augment", "observe"]
