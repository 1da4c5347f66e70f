"""What a user can mend: the one exception for it, and the sentence for files that cannot be read or written."""

from __future__ import annotations

import errno


class UserError(Exception):
    """A mistake in the input that the user can mend.

    The message is one clear sentence: what was expected, what was found, which case or file, and what to do. It names
    what to change by the name of the function's argument, in backticks (``give `overwrite` to replace it``): that is
    right for a caller in Python, and the command line puts its own option there (``--overwrite``). The command line
    prints the message without a traceback and exits with status 1.
    """


_REMEDIES = {
    errno.ENOSPC: "there is no space left on that disk; free some or write to another one",
    errno.EDQUOT: "your quota on that disk is used up; free some space or write to another one",
    errno.EFBIG: "the file would be larger than this disk or your limits allow; write to another disk",
    errno.EROFS: "that disk is mounted read-only; write to another one",
    errno.EACCES: "you have no permission for it; change the permissions or give another path",
    errno.EPERM: "you have no permission for it; change the permissions or give another path",
    errno.ENOENT: "it, or a folder on the way to it, is not there; mend the path, or start again if it was removed",
    errno.ENOTDIR: "a part of the path is a file and no folder; give another path",
    errno.EISDIR: "it is a folder and not a file; give another path",
    errno.EEXIST: "something of that name is there; move it away or give another path",
    errno.ENOTEMPTY: "the folder is not empty: something else writes to it; start again when that has ended",
    errno.ENAMETOOLONG: "the name is too long for that disk; give a shorter one",
    errno.ELOOP: "its links lead in a circle; mend them",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n) or use fewer processes",
    errno.EIO: "the disk reports an error; check the disk and write to another one",
    errno.ESTALE: "the network file system lost it; start again",
    errno.ENODEV: "the disk it is on is gone; connect it again",
}


def file_sentence(error: OSError) -> str:
    """What a failed read or write means, and what to do: one sentence.

    Args:
        error: what the system said.
    """
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = " → ".join(names) or "a file"
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return (
            f"{where} cannot be read or written ({error.strerror or error}); nothing that was there before was changed"
        )
    return f"{where} cannot be read or written: {remedy}"
