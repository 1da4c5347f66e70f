"""No command writes over what it reads, or over a file that it did not write; see tests/evaluation/test_outputs.py."""

import json
import zipfile
from types import SimpleNamespace

import pandas as pd
import pytest

from nnunet_fair.cli import main
from nnunet_fair.dataset_conversion.convert import ConversionOptions, convert_cohort
from nnunet_fair.errors import UserError
from nnunet_fair.metadata.case_metadata import write_metadata
from nnunet_fair.outputs import begins_with, is_page, is_record, refuse_among_inputs, refuse_foreign, refuse_inputs
from nnunet_fair.plans.change import change_settings
from nnunet_fair.postprocessing.postprocess_folder import postprocess_folder
from nnunet_fair.postprocessing.settings import PostprocessingSettings
from nnunet_fair.prediction.predict import predict_cohort
from nnunet_fair.sharing.export import export_model
from nnunet_fair.synthetic.cohort import write_cohort

NAME = "Dataset950_TEST"


def test_an_input_is_found_through_links_and_detours(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for output in (tmp_path / "in", tmp_path / "link", tmp_path / "in" / "sub" / ".."):
        with pytest.raises(UserError, match="results would be written into it; give another `output` folder"):
            refuse_inputs(output, [None, tmp_path / "in"])
        with pytest.raises(UserError, match=r"a\.csv is read, and the results would overwrite it"):
            refuse_inputs(output, [tmp_path / "in" / "a.csv"], names=["a.csv"])
        with pytest.raises(UserError, match=r"a\.csv is read and lies in .* which would be replaced"):
            refuse_inputs(output, [tmp_path / "in" / "a.csv"], replaced=True)
        refuse_inputs(output, [tmp_path / "in" / "a.csv"], names=["b.csv"])
        with pytest.raises(UserError, match="would be taken for input"):
            refuse_among_inputs(output / "new", [tmp_path / "in"])
    refuse_among_inputs(tmp_path / "inner", [tmp_path / "in"])


def test_own_files_are_known(tmp_path):
    path = tmp_path / "file"
    assert not begins_with(path, "") and not is_page(path) and not is_record(path, ())
    refuse_foreign(path, False)
    path.write_text(" \n")
    assert begins_with(path, "a,b") and is_page(path) and is_record(path, ("a",))
    path.write_text('{"a": 1}')
    assert is_record(path, ("a",)) and not is_record(path, ("a", "b")) and not is_page(path)
    for content in ('["a"]', "{", "[" * 100_000):
        path.write_text(content)
        assert not is_record(path, ())
    with pytest.raises(UserError, match="was not written by this command and would be lost; move it away"):
        refuse_foreign(path, False)
    refuse_foreign(path, True)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="was not written"):
        refuse_foreign(tmp_path / "dangling", False)


def test_synth_replaces_nothing_but_a_cohort(tmp_path):
    options = {"n_cases": 1, "size": (16, 16, 16), "max_phases": 3}
    write_cohort(tmp_path / "c", **options)
    for mine in ("thesis.tex", "segmentations/my_model/mask.nii.gz"):
        path = tmp_path / "c" / mine
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        with pytest.raises(UserError, match=rf"{mine.split('/mask')[0]} was not written by this command"):
            write_cohort(tmp_path / "c", overwrite=True, **options)
        assert path.read_text() == "mine"
        path.unlink()
        if path.parent.name == "my_model":
            path.parent.rmdir()
    write_cohort(tmp_path / "c", overwrite=True, **options)
    (tmp_path / "c" / "disparity.json").write_text('{"mine": 1}')
    with pytest.raises(UserError, match=r"disparity\.json was not written by this command"):
        write_cohort(tmp_path / "c", overwrite=True, **options)


def test_postprocess_takes_no_masks_that_it_did_not_make(tmp_path, capsys):
    for folder in ("pred", "labels"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "A.nii.gz").write_bytes(b"a mask")
    with pytest.raises(UserError, match=r"labels/A\.nii\.gz was not written by this command"):
        postprocess_folder(tmp_path / "pred", tmp_path / "labels", PostprocessingSettings(), overwrite=True)
    (tmp_path / "labels" / "A.nii.gz").unlink()
    (tmp_path / "labels" / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match=r"dataset\.json was not written by this command"):
        postprocess_folder(tmp_path / "pred", tmp_path / "labels", PostprocessingSettings())
    (tmp_path / "npz").mkdir()
    with pytest.raises(UserError, match="npz is read, and results would be written into it"):
        postprocess_folder(
            tmp_path / "pred", tmp_path / "npz", PostprocessingSettings(), probabilities=tmp_path / "npz"
        )
    settings = tmp_path / "out" / "postprocessing.json"
    settings.parent.mkdir()
    settings.write_text('{"settings": {}, "counts": {}}')
    call = ["postprocess", "-i", f"{tmp_path}/pred", "-o", f"{tmp_path}/out", "--overwrite", "--settings"]
    assert main([*call, str(settings)]) == 1
    assert "is read, and the results would overwrite it; give another -o folder" in capsys.readouterr().err


def test_predict_writes_into_no_model_and_among_no_images(tmp_path):
    model = SimpleNamespace(folder=tmp_path / "model", postprocessing=lambda: None)
    for folder in ("model", "cohort/images/P1", "cohort/segmentations"):
        (tmp_path / folder).mkdir(parents=True)
    cohort = tmp_path / "cohort"
    for target in (tmp_path / "model", cohort / "images", cohort / "segmentations"):
        with pytest.raises(UserError, match="is read, and results would be written into it; give another `target`"):
            predict_cohort(cohort, target, model, overwrite=True)
        with pytest.raises(UserError, match="is read, and results would be written into it; give another `keep_raw`"):
            predict_cohort(cohort, tmp_path / "out", model, keep_raw=target)
    with pytest.raises(UserError, match="would be taken for input; give another `target`"):
        predict_cohort(cohort, cohort / "images" / "P2", model)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "A.nii.gz").write_bytes(b"a mask")
    with pytest.raises(UserError, match=r"A\.nii\.gz was not written by this command"):
        predict_cohort(cohort, tmp_path / "labels", model, overwrite=True)
    (tmp_path / "labels" / "A.nii.gz").unlink()
    (tmp_path / "labels" / "prediction_report.csv").write_text("mine")
    with pytest.raises(UserError, match=r"prediction_report\.csv was not written by this command"):
        predict_cohort(cohort, tmp_path / "labels", model, overwrite=True)


def test_export_replaces_no_card_and_no_zip_of_somebody_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("thesis.tex", "mine")
    with pytest.raises(UserError, match=r"model\.zip was not written by this command"):
        export_model([], tmp_path / "model.zip", overwrite=True)
    (tmp_path / "MODEL_CARD.md").write_text("# My card\n")
    with pytest.raises(UserError, match=r"MODEL_CARD\.md was not written by this command"):
        export_model([], tmp_path / "other.zip", overwrite=True)


@pytest.fixture
def dataset(nnunet_folders):
    """A dataset with labels' names only, and a table of its patients."""
    raw, preprocessed = (nnunet_folders[key] / NAME for key in ("nnUNet_raw", "nnUNet_preprocessed"))
    (raw / "labelsTr").mkdir(parents=True)
    preprocessed.mkdir()
    for case in range(6):
        (raw / "labelsTr" / f"c{case}.nii.gz").touch()
    (raw / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "x"}, "labels": {"background": 0, "t": 1}, "file_ending": ".nii.gz"})
    )
    pd.DataFrame({"case_id": [f"c{i}" for i in range(6)], "sex": list("fmfmfm")}).to_csv(raw / "t.csv", index=False)
    return SimpleNamespace(raw=raw, preprocessed=preprocessed)


def test_metadata_keeps_its_table(dataset):
    own = dataset.preprocessed / "fair_cases.csv"
    own.write_text((dataset.raw / "t.csv").read_text())
    before = own.read_bytes()
    with pytest.raises(UserError, match=r"fair_cases\.csv is read, and the results would overwrite it; give a copy"):
        write_metadata(950, own, ["sex"], overwrite=True)
    splits = dataset.preprocessed / "splits_final.json"
    splits.write_text('[{"case_id": "c0", "sex": "f"}]')
    with pytest.raises(UserError, match=r"splits_final\.json is read"):
        write_metadata(950, splits, ["sex"], stratify=True, overwrite=True)
    assert own.read_bytes() == before
    own.write_text("Patient;Alter\n1;50\n")
    with pytest.raises(UserError, match=r"fair_cases\.csv was not written by this command"):
        write_metadata(950, dataset.raw / "t.csv", ["sex"], overwrite=True)
    own.unlink()
    assert write_metadata(950, dataset.raw / "t.csv", ["sex"]).fair_cases.is_file()


def test_audit_writes_over_its_own_pages_only(dataset, tmp_path, capsys):
    out = tmp_path / "audit"
    write_metadata(950, dataset.raw / "t.csv", ["sex"])
    call = ["audit", "-d", "950", "--table", str(dataset.raw / "t.csv"), "--patient-column", "sex"]
    for _ in range(2):
        assert main([*call, "-o", str(out)]) == 0
    for name in ("audit.html", "audit.csv"):
        before = (out / name).read_text()
        (out / name).write_text("mine")
        assert main([*call, "-o", str(out)]) == 1
        assert f"{name} was not written by this command" in capsys.readouterr().err
        assert (out / name).read_text() == "mine"
        (out / name).write_text(before)
    table = tmp_path / "audit.csv"
    table.write_text((dataset.raw / "t.csv").read_text())
    assert main(["audit", "-d", "950", "--table", str(table), "--patient-column", "sex", "-o", str(tmp_path)]) == 1
    assert "audit.csv is read, and the results would overwrite it; give another -o folder" in capsys.readouterr().err


def test_plans_are_written_over_plans_only(dataset):
    (dataset.preprocessed / "nnUNetPlans.json").write_text('{"plans_name": "nnUNetPlans", "configurations": {}}')
    for name in ("dataset_fingerprint", "splits_final"):
        path = dataset.preprocessed / f"{name}.json"
        path.write_text('{"spacings": []}')
        with pytest.raises(
            UserError, match=rf"{name}\.json was not written by this command .* give another `new_name`"
        ):
            change_settings(950, "nnUNetPlans", {"strength": 4}, new_name=name, overwrite=True)
        assert path.read_text() == '{"spacings": []}'


@pytest.mark.parametrize("place", ["images", "segmentations/expert"])
def test_a_dataset_is_not_made_among_the_cases_it_is_made_from(tmp_path, monkeypatch, place):
    for folder in ("images", "segmentations/expert", "patient_info_files"):
        (tmp_path / "cohort" / folder).mkdir(parents=True)
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.setenv(variable, str(tmp_path / "cohort" / place))
    with pytest.raises(UserError, match="would be taken for input; let nnUNet_raw be another folder"):
        convert_cohort(tmp_path / "cohort", NAME, ConversionOptions())


def test_a_table_in_the_dataset_is_not_replaced_with_it(nnunet_folders, tmp_path):
    table = nnunet_folders["nnUNet_raw"] / NAME / "patients.csv"
    table.parent.mkdir()
    table.write_text("patient_id\n")
    with pytest.raises(
        UserError, match=r"patients\.csv is read and lies in .*, which would be replaced; let nnUNet_raw"
    ):
        convert_cohort(tmp_path, NAME, ConversionOptions(table=table, overwrite=True))
    table = table.rename(table.with_name("fair_cases.csv"))
    with pytest.raises(UserError, match=r"fair_cases\.csv is read, and the results would overwrite it"):
        convert_cohort(tmp_path, NAME, ConversionOptions(table=table))


def test_pcr_evaluation_keeps_its_tables(tmp_path, capsys):
    (tmp_path / "cases.csv").write_text("case_id,pcr,age\n" + "".join(f"P{i},{i % 2},{40 + i}\n" for i in range(20)))
    (tmp_path / "p.csv").write_text("case_id,pcr_pred\n" + "".join(f"P{i},{i % 3 % 2}\n" for i in range(20)))
    call = ["evaluate", "--task", "pcr", "-pred", f"{tmp_path}/p.csv", "-m", f"{tmp_path}/cases.csv"]
    before = (tmp_path / "cases.csv").read_bytes()
    assert main([*call, "-o", str(tmp_path), "--variables", "age", "--resamples", "40"]) == 1
    assert "cases.csv is read, and the results would overwrite it; give another -o folder" in capsys.readouterr().err
    assert (tmp_path / "cases.csv").read_bytes() == before
