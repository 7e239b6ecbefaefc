"""Networks: StyleGAN2's generator and discriminator, and the layers they are made of."""
