"""Thin entry points for people: measuring speed, and the plain PyG loop that is measured against."""
