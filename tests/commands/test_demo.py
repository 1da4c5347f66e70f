"""The demo's own logic; the whole of it runs in tests/end_to_end."""

import shlex
import signal
import subprocess
import sys
import time

import pytest

from nnunet_fair import cli, demo
from nnunet_fair.processes import is_running
from nnunet_fair.training import trainer


def test_every_command_of_the_demo_exists_with_these_arguments(tmp_path):
    parser = cli.build_parser()
    for stage in demo.stages(tmp_path, [0, 1], n_cases=10, seed=0):
        for command in stage.commands:
            if command[0] == "nnunet_fair":
                parser.parse_args(command[1:])  # exits where the command line would refuse


def test_the_bar_counts_the_trainers_epochs(tmp_path):
    trainer_class = getattr(trainer, demo.TRAINER)
    assert trainer_class.epochs == demo.TRAINER_EPOCHS
    training = next(stage for stage in demo.stages(tmp_path, [0, 3], 10, 0) if stage.counts)
    assert training.steps == 2 * demo.TRAINER_EPOCHS


def test_a_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["demo", "-o", str(tmp_path)]) == 1
    assert "is not empty and holds no former demo" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failing_stage_shows_why_and_stops(tmp_path, capsys, monkeypatch):
    program = tmp_path / "bin" / "nnunet_fair"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'the reason is here'\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.parent / "python"))
    assert cli.main(["demo", "-o", str(tmp_path / "demo")]) == 1
    captured = capsys.readouterr()
    assert "ended with status 3" in captured.err
    assert "the reason is here" in captured.err
    assert "[1/8]" in captured.out and "[2/8]" not in captured.out
    # a second try replaces what the first left
    assert cli.main(["demo", "-o", str(tmp_path / "demo")]) == 1


COMMAND = """#!/bin/sh
sleep 300 &
echo $! > {folder}/worker
echo $$ > {folder}/command
trap '' TERM HUP
sleep 300 &
wait
wait
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_process_of_a_stage_outlives_the_demo(tmp_path, number):
    """A command that does not end by itself, as a training whose workers load data."""
    program = tmp_path / "bin" / "nnunet_fair"
    program.parent.mkdir()
    program.write_text(COMMAND.format(folder=tmp_path))
    program.chmod(0o755)
    script = (
        f"import sys; from nnunet_fair import cli, processes; sys.executable = {str(program.parent / 'python')!r}\n"
        "processes._COMMANDS_TIME_TO_END = 0.5\n"
        f"sys.exit(cli.main(['demo', '-o', {str(tmp_path / 'demo')!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pids = [tmp_path / "worker", tmp_path / "command"]
    wait_for(lambda: all(path.is_file() and path.read_text().strip() for path in pids))
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number
    wait_for(lambda: not any(is_running(int(path.read_text()), "") for path in pids))


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_environment_file_can_be_sourced(tmp_path):
    environment = demo.demo_environment(tmp_path / "with space")
    assert set(environment) >= {"nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_extTrainer"}
    assert shlex.split(f"x={shlex.quote(environment['nnUNet_raw'])}") == [f"x={environment['nnUNet_raw']}"]


@pytest.mark.parametrize("folds", [["5"], ["-1"], ["all"]])
def test_folds_are_0_to_4(folds):
    with pytest.raises(SystemExit):
        cli.main(["demo", "-o", "x", "--folds", *folds])
