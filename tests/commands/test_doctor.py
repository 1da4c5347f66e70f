"""``nnunet_fair doctor``."""

import importlib.metadata
import json
import re
import sys

import pytest

from nnunet_fair import doctor
from nnunet_fair.cli import main
from nnunet_fair.environment import EXT_TRAINERS_FOLDER


@pytest.fixture
def environment(tmp_path, monkeypatch):
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    monkeypatch.setenv("nnUNet_extTrainer", str(EXT_TRAINERS_FOLDER))
    return tmp_path


def findings(dataset=None) -> dict[str, doctor.Finding]:
    return {finding.subject: finding for finding in doctor.examine(dataset)}


def test_a_good_set_up(environment, capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "training can work"
    assert not any(line.startswith("FAILED") for line in lines)
    assert any(line.startswith("ok       trainer: nnU-Net finds nnUNetTrainerFairDiv") for line in lines)


@pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"])
@pytest.mark.parametrize(("value", "said"), [("", "not set; export"), ("/no/such/folder", "is no folder")])
def test_a_missing_folder_fails(environment, monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    finding = findings()[variable]
    assert finding.status == doctor.FAILED
    assert said in finding.message
    assert main(["doctor"]) == 1


def test_without_the_plugins_folder_the_trainer_is_not_found(environment, monkeypatch):
    monkeypatch.delenv("nnUNet_extTrainer")
    found = findings()
    assert found["nnUNet_extTrainer"].status == doctor.FAILED
    assert 'eval "$(nnunet_fair env)"' in found["nnUNet_extTrainer"].message
    assert found["trainer"].status == doctor.FAILED
    assert "nnU-Net does not find nnUNetTrainerFairDiv" in found["trainer"].message


def test_the_whole_package_in_the_variable_is_named(environment, monkeypatch):
    monkeypatch.setenv("nnUNet_extTrainer", str(EXT_TRAINERS_FOLDER.parent))
    finding = findings()["nnUNet_extTrainer"]
    assert finding.status == doctor.FAILED
    assert "holds the whole package" in finding.message


def test_a_torchvision_of_another_build_is_named_with_its_remedy(environment, monkeypatch, tmp_path):
    package = tmp_path / "broken" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(package.parent))
    finding = doctor._torchvision("2.0+cpu")
    assert finding.status == doctor.FAILED
    assert "operator torchvision::nms does not exist" in finding.message
    assert "uninstall both" in finding.message


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("2.7.9", "FAILED"),
        ("2.8.0", "ok"),
        ("2.8rc1", "FAILED"),  # before 2.8.0
        ("2.9rc1", "ok"),
        ("2.8.1+local", "ok"),
        ("2.8.1.dev0", "ok"),
        ("3.0.0", "FAILED"),
        ("3.0rc1", "FAILED"),
        (None, "FAILED"),
        ("unknown", "FAILED"),
    ],
)
def test_nnunet_versions(monkeypatch, version, status):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["nnunetv2<3,>=2.8.0", 'x>9; extra == "test"'])
    monkeypatch.setattr(doctor, "_version", lambda package: version)
    (finding,) = doctor._requirements()
    assert (finding.subject, finding.status) == ("nnunetv2", status)
    assert status == doctor.OK or finding.message.endswith("; pip install 'nnunetv2<3,>=2.8.0'")


def test_every_declared_requirement_is_a_check(environment):
    found = findings()
    for text in importlib.metadata.requires("nnunet-fair"):
        if "extra ==" not in text:
            assert re.match(r"[\w-]+", text)[0] in found


def test_a_checkout_that_is_not_installed(monkeypatch):
    def fail(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", fail)
    (finding,) = doctor._requirements()
    assert finding.status == doctor.FAILED and "pip install ." in finding.message


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert doctor._python().status == doctor.FAILED


@pytest.fixture
def dataset(environment):
    folder = environment / "raw" / "Dataset027_Heart"
    (folder / "labelsTr").mkdir(parents=True)
    for case_id in ("p1", "p2"):
        (folder / "labelsTr" / f"{case_id}.nii.gz").touch()
    (folder / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz"}))
    return folder


def test_a_dataset_without_metadata_fails_and_says_how_to_make_it(dataset):
    finding = findings("27")["Dataset027_Heart metadata"]
    assert finding.status == doctor.FAILED
    assert "nnunet_fair metadata -d" in finding.message


@pytest.mark.parametrize(
    ("table", "status", "said"),
    [
        ("case_id,sex\np1,f\np2,m\n", "ok", "2 of 2 training cases have a row"),
        ("case_id,sex\np1,f\n", "warning", "the first is p2"),
        ("case_id,sex\nx,f\n", "FAILED", "0 of 2"),
        ("case_id\np1\np2\n", "FAILED", "attributes: none"),
        ("id,sex\np1,f\n", "FAILED", "no column 'case_id'"),
    ],
    ids=["covered", "one without", "none", "no attribute", "no ID column"],
)
def test_coverage_of_a_dataset(dataset, table, status, said):
    (dataset / "fair_cases.csv").write_text(table)
    finding = findings("27")["Dataset027_Heart metadata"]
    assert finding.status == status
    assert said in finding.message


def test_wrong_settings_in_plans_fail(dataset, environment):
    folder = environment / "preprocessed" / "Dataset027_Heart"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps({"nnunet_fair": {"strenght": 1}}))
    finding = findings("27")["plans.json"]
    assert finding.status == doctor.FAILED
    assert "did you mean 'strength'" in finding.message


def test_an_unknown_dataset_fails(environment):
    assert findings("999")["dataset"].status == doctor.FAILED
