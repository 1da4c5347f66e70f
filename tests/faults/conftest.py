"""One server for all kills: importing what the commands need takes longer than most of them."""

import pytest

from tests.faults.kills import Commands

MODULES = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "openpyxl",
    "pandas.io.formats.csvs",
    "pandas.io.formats.excel",
    "sklearn.preprocessing",
    "torch",
    "nnunetv2.inference.predict_from_raw_data",
    "nnunet_fair.dataset_conversion.convert",
    "nnunet_fair.evaluation.compare_folders",
    "nnunet_fair.evaluation.evaluate",
    "nnunet_fair.metadata.audit.audit",
    "nnunet_fair.metadata.audit.page",
    "nnunet_fair.pcr.predict",
    "nnunet_fair.pcr.train",
    "nnunet_fair.pcr.training_cases",
    "nnunet_fair.plans.install",
    "nnunet_fair.postprocessing.postprocess_folder",
    "nnunet_fair.prediction.predict",
    "nnunet_fair.sharing.export",
    "nnunet_fair.synthetic.cohort",
    "nnunet_fair.training.divergence_weighting",
)


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """Runs commands in forks, see :class:`Commands`."""
    made = Commands(tmp_path_factory.mktemp("commands"), MODULES)
    yield made
    made.close()
