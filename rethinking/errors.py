"""What goes wrong through no fault of the program, said in one sentence."""


class UserError(Exception):
    """A mistake in the input or the surroundings; its text says what is wrong and what to do.

    The command line prints the text without a traceback and exits with status 2.
    """
