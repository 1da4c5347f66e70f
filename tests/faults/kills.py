"""A command ended, or out of disk, at each of its file operations, by a server that forks: imports are done once.

Every file operation of Python is announced to an audit hook before it is done; the forked process counts those in its
folder and ends itself at the n-th, by SIGKILL (as out of memory) or by a signal that it may handle, or finds the disk
full, read-only or forbidden from there on.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ALL = bool(os.environ.get("NNUNET_FAIR_ALL_KILLS"))
"""Whether every operation is tried instead of a few."""

SERVER = """
import errno, importlib.util, json, os, sys, traceback
for name in {modules!r}:
    importlib.import_module(name)
from nnunet_fair import files
from nnunet_fair.cli import build_parser, main
build_parser()
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
count = 0

MAKING = ("open", "os.mkdir", "os.link", "os.symlink")

def count_operations(root, at, number, error):
    def operation(event, path):
        global count
        count += 1
        if error and at and count >= at and (error != errno.ENOSPC or event in MAKING):
            raise OSError(error, os.strerror(error), path)
        if count == at and not error:
            os.kill(os.getpid(), number)
    def hook(event, arguments):
        if event in EVENTS or (event == "open" and arguments[2] & WRITING):
            path = arguments[0]
            inside = isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(root)
            if inside or (event in ("os.remove", "os.rmdir") and arguments[-1] != -1):
                operation(event, path)
    exchange = files._exchange
    def announced(first, second):
        operation("os.rename", second)
        return exchange(first, second)
    files._exchange = announced
    sys.addaudithook(hook)

for line in sys.stdin:
    task = json.loads(line)
    pid = os.fork()
    if pid == 0:
        output = os.open(task["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 2)
        if task["unread"]:
            unread, output = os.pipe()
            os.close(unread)
        os.dup2(output, 1)
        os.environ.update(task["environment"])
        os.chdir(task["folder"])
        run = main
        if task["call"]:
            file, function = task["call"].rsplit(":", 1)
            specification = importlib.util.spec_from_file_location("called", file)
            module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
            run = getattr(module, function)
        count_operations(task["root"], task["at"], task["signal"], task["errno"])
        status = 99
        try:
            status = run(task["arguments"])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            print(end.code)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            with open(task["output"] + ".count", "w") as stream:
                stream.write(str(count))
            os._exit(status)
    _, state = os.waitpid(pid, 0)
    print(json.dumps(os.waitstatus_to_exitcode(state)), flush=True)
"""


class Commands:
    """Runs commands in forks of a process that has imported what they need.

    Args:
        folder: where their output goes; outside of what they write to.
        modules: what to import once.
    """

    def __init__(self, folder: Path, modules: Sequence[str]) -> None:
        self._output = folder / "output"
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER.format(modules=tuple(modules))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **threads},
        )

    def run(
        self,
        arguments: Sequence[object],
        root: Path,
        *,
        at: int = 0,
        number: int = signal.SIGKILL,
        error: int = 0,
        call: str | None = None,
        unread: bool = False,
    ) -> int:
        """Run one command; its exit status, negative for the signal that killed it.

        Args:
            arguments: of ``nnunet_fair``, or of the function.
            root: the folder whose operations count.
            at: the operation before which it is ended; 0 for none.
            number: the signal.
            error: an ``errno`` instead: from that operation on all fail with it; with ENOSPC those that make something.
            call: ``file:function`` to call instead of ``nnunet_fair``.
            unread: let whoever reads what it prints be gone, as ``| head`` is.
        """
        variables = {key: value for key, value in os.environ.items() if key.startswith("nnUNet_")}
        task = {
            "arguments": [str(argument) for argument in arguments],
            "root": str(root),
            "folder": str(root),
            "at": at,
            "signal": int(number),
            "errno": error,
            "call": call,
            "unread": unread,
            "output": str(self._output),
            "environment": variables,
        }
        self._server.stdin.write(json.dumps(task) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    @property
    def output(self) -> str:
        """What the last command printed."""
        return self._output.read_text(errors="replace")

    @property
    def n_operations(self) -> int:
        """How many operations the last command did that came to its end."""
        return int(Path(f"{self._output}.count").read_text())

    def close(self) -> None:
        """End the server."""
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def digest(folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
    """What lies in a folder, hidden things too; a zip by what is in it, for its times are no part of a result.

    Args:
        folder: the folder; it need not exist.
        without: names of files that a result is not judged by.
    """
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in without
    }


def _content(path: Path) -> str:
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        found = {info.filename: info.CRC for info in archive.infolist() if not info.filename.startswith("docProps")}
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hidden(folder: Path) -> list[str]:
    """What an ended command left under hidden names, anywhere below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*") if "nnunet_fair" in path.name)


Check = Callable[[dict[str, str], dict[str, str], dict[str, str]], None]


REMEDIES = {
    errno.ENOSPC: "there is no space left on that disk",
    errno.EROFS: "that disk is mounted read-only",
    errno.EACCES: "you have no permission for it",
}


def says_what_is_wrong(output: str, error: int) -> None:
    """The last line is a sentence that names the fault and the remedy, and there is no traceback."""
    assert "Traceback" not in output, output
    last = output.strip().splitlines()[-1]
    assert last.startswith(("nnunet_fair ", "nnunet-fair: ")), output
    assert REMEDIES[error] in last or (os.strerror(error) in last and "run the command again" in last), output


def old_or_new(before: dict[str, str], wanted: dict[str, str], found: dict[str, str]) -> None:
    """The whole result is the former or the new one."""
    visible = {name: content for name, content in found.items() if "nnunet_fair-" not in name}
    assert visible in (before, wanted)


def whole_files(before: dict[str, str], wanted: dict[str, str], found: dict[str, str]) -> None:
    """Each file is the former or the new one, and none of the former is gone that the new has."""
    for name, content in found.items():
        if not any(part.startswith(".") for part in Path(name).parts):
            assert content in (before.get(name), wanted.get(name)), name
    assert not (before.keys() & wanted.keys()) - found.keys()


def end_at_every_operation(
    commands: Commands,
    arguments: Sequence[object],
    root: Path,
    restore: Callable[[], None],
    *,
    check: Check = old_or_new,
    without: Sequence[str] = (),
    call: str | None = None,
    status: int = 0,
) -> None:
    """Kill a command before its operations, end it by SIGTERM there, and let the disk be full from there on.

    Args:
        commands: the server.
        arguments: the command.
        root: the folder it works in: everything in it is compared.
        restore: makes the folder as it is before the command.
        check: compares what was there before, what the whole command leaves, and what is there after a kill.
        without: see :func:`digest`.
        call: see :meth:`Commands.run`; a function handles no signals, so that SIGTERM is nothing else than a kill.
        status: the command's exit status where nothing ends it.
    """
    restore()
    assert commands.run(arguments, root, call=call) == status, commands.output
    n_operations = commands.n_operations
    assert n_operations >= 3
    wanted = digest(root, without=without)
    assert not hidden(root)
    every = range(1, n_operations + 1)
    few = sorted({n_operations // 3, 2 * n_operations // 3})

    def goes_on(at: int) -> None:
        assert commands.run(arguments, root, call=call) == status, (at, commands.output)
        differing = dict(digest(root, without=without).items() ^ wanted.items())
        assert not differing, (at, differing)
        assert not hidden(root), (at, hidden(root))

    for at in every if ALL else few:
        restore()
        before = digest(root, without=without)
        assert commands.run(arguments, root, at=at, call=call) == -signal.SIGKILL, (at, commands.output)
        check(before, wanted, digest(root, without=without))
        goes_on(at)
    for at in () if call else every if ALL else few[:1]:
        restore()
        before = digest(root, without=without)
        ended = commands.run(arguments, root, at=at, number=signal.SIGTERM, call=call)
        assert ended in (status, 128 + signal.SIGTERM), (at, ended, commands.output)  # one in the last step is too late
        check(before, wanted, digest(root, without=without))
        assert not hidden(root), (at, hidden(root))
        goes_on(at)
    for at in every if ALL else few[1:]:
        restore()
        before = digest(root, without=without)
        ended = commands.run(arguments, root, at=at, error=errno.ENOSPC, call=call)
        check(before, wanted, digest(root, without=without))
        assert not hidden(root), (at, hidden(root))
        if ended == status:  # all was there, or what is missing is a training's record for people
            assert call or digest(root, without=without) == wanted, at
        else:
            assert ended == 1, (at, commands.output)
            says_what_is_wrong(commands.output, errno.ENOSPC)
    for error in (errno.EROFS, errno.EACCES) if ALL else (errno.EROFS,):
        restore()
        before = digest(root, without=without)
        assert commands.run(arguments, root, at=1, error=error, call=call) == 1, commands.output
        says_what_is_wrong(commands.output, error)
        assert digest(root, without=without) == before
    restore()
    goes_on(0)
    if ALL:
        print(f"{n_operations} kills and {0 if call else n_operations} signals survived")


def replaced_by(folder: Path, copy: Path) -> None:
    """Make a folder as its copy is."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(copy, folder, symlinks=True)
