"""`python -m rethinking`."""

from rethinking.cli import entry_point

entry_point()
