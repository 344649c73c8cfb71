"""What the engine and a family agree on."""

from torch import Tensor

# What a network returns: predictions [R, B, out], and auxiliary losses by name, [R] each, weighted.
Output = tuple[Tensor, dict[str, Tensor]]
