"""Families: one file each, and what the engine and they agree on (`family`). Every parameter leads with the axis R."""
