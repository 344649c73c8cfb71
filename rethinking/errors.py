"""What goes wrong through no fault of the program, said in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in the input or the surroundings; its text says what is wrong and what to do.

    The command line prints the text without a traceback and exits with status 2. Characters of the input that no
    terminal shows stand as escapes.
    """

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text))


@contextmanager
def not_ending() -> Iterator[None]:
    """Around code of others: where it would end the program, as a script does, it raises a RuntimeError instead."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(
            "it ends the program, as a script may; what is to run in a script only belongs under "
            "`if __name__ == '__main__'`"
        ) from error
