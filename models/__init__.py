"""Families: one file each, plus the layers they share. Every parameter leads with the replica axis R."""
