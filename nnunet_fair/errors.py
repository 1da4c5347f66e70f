"""The one exception for what a user can mend."""


class UserError(Exception):
    """A mistake in the input that the user can mend.

    The message is one clear sentence: what was expected, what was found, which case or file, and what to do. It names
    what to change by the name of the function's argument, in backticks (``give `overwrite` to replace it``): that is
    right for a caller in Python, and the command line puts its own option there (``--overwrite``). The command line
    prints the message without a traceback and exits with status 1.
    """
