"""PTB-XL (Wagner et al. 2020), version 1.0.3: 21,799 twelve-lead ECGs of ten seconds, used here at 100 Hz."""

from multiresconv.data.ptbxl.labels import LabelSet, read_label_names
from multiresconv.data.ptbxl.prepare import SOURCE, prepare_ptbxl
from multiresconv.data.ptbxl.records import LEADS, LENGTH, RATE
from multiresconv.data.ptbxl.split import FOLDS, PtbXlSplit, open_ptbxl
from multiresconv.data.ptbxl.standardise import Standardiser, fit_standardiser
from multiresconv.data.ptbxl.usual import usual_ranges
from multiresconv.data.ptbxl.verify import verify_ptbxl

__all__ = [
    "FOLDS",
    "LEADS",
    "LENGTH",
    "RATE",
    "SOURCE",
    "LabelSet",
    "PtbXlSplit",
    "Standardiser",
    "fit_standardiser",
    "open_ptbxl",
    "prepare_ptbxl",
    "read_label_names",
    "usual_ranges",
    "verify_ptbxl",
]
