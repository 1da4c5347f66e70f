"""The one exception for what a user can mend."""


class UserError(Exception):
    """A mistake in the input that the user can mend.

    The message is one clear sentence: what was expected, what was found, which case or file, and what to do. The
    command line prints it without a traceback and exits with status 1.
    """
