"""Runs: their identity, the store that keeps them, and the execution of those that are missing."""
