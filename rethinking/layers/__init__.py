"""Layers with a replica axis: R independent copies of a layer, computed together. Parameters are `[R, …]`."""
