"""The command line as a whole."""

import importlib
import subprocess
import sys
import textwrap

import pytest

from nnunet_fair import __version__, cli
from nnunet_fair.errors import UserError


@pytest.mark.parametrize(
    "statement",
    ["import nnunet_fair", "from nnunet_fair.cli import build_parser; build_parser().format_help()"],
    ids=["the package", "--help"],
)
def test_only_the_standard_library_is_loaded(statement):
    """Both answer at once because they load nothing that takes time; a timed test would depend on the machine."""
    code = textwrap.dedent(
        f"""
        import sys
        before = set(sys.modules)
        {statement}
        loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
        print(sorted(loaded - sys.stdlib_module_names - {{"nnunet_fair", "__mp_main__"}}))  # an alias of __main__
        """
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip() == f"nnunet_fair {__version__}"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_listed_with_a_sentence(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert name in cli.build_parser().format_help()
    assert importlib.import_module(f"nnunet_fair.commands.{name.replace('-', '_')}").HELP


def test_a_users_mistake_is_one_sentence_and_status_1(monkeypatch, capsys):
    from nnunet_fair.commands import env

    def fail(args):
        raise UserError("expected a, found b; do c")

    monkeypatch.setattr(env, "run", fail)
    assert cli.main(["env"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "nnunet_fair env: expected a, found b; do c\n"
    assert captured.out == ""


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    from nnunet_fair.commands import env

    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(env, "run", interrupt)
    assert cli.main(["env"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_program_error_keeps_its_traceback(monkeypatch):
    from nnunet_fair.commands import env

    def fail(args):
        raise ZeroDivisionError

    monkeypatch.setattr(env, "run", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["env"])


def test_a_message_names_the_commands_own_options(monkeypatch, capsys):
    from nnunet_fair.commands import convert

    def fail(args):
        raise UserError("x exists; `overwrite` replaces it, `num_processes` and `no_such_argument` do not")

    monkeypatch.setattr(convert, "run", fail)
    assert cli.main(["convert", "-i", "x", "-d", "1"]) == 1
    expected = "x exists; --overwrite replaces it, --num-processes and `no_such_argument` do not"
    assert capsys.readouterr().err == f"nnunet_fair convert: {expected}\n"


def test_a_command_may_say_which_option_stands_for_an_argument(monkeypatch, capsys):
    from nnunet_fair.commands import postprocess

    def fail(args):
        raise UserError("use fewer `n_processes`")

    monkeypatch.setattr(postprocess, "run", fail)
    monkeypatch.setattr(postprocess, "OPTIONS", {"n_processes": "-np"}, raising=False)
    assert cli.main(["postprocess", "-i", "x", "-o", "y"]) == 1
    assert capsys.readouterr().err == "nnunet_fair postprocess: use fewer -np\n"
