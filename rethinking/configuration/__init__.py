"""Hydra's configuration becomes plain objects here: cells, and how they are trained."""
