"""Report, table and pictures of several labels a row say what the scores say."""

import io
import json
import re
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest
import torch

from multiresconv.data.ptbxl import LEADS
from multiresconv.tasks.multilabel import multilabel, multilabel_report, multilabel_table
from multiresconv.tasks.multilabel_pictures import draw_roc, draw_running_prediction, roc_figures
from multiresconv.tasks.multilabel_ranking import bootstrap_macro_auroc
from multiresconv.tasks.multilabel_scores import MultilabelScores


def scores_of(n=60, n_labels=4, *, absent=(3,)):
    random = torch.Generator().manual_seed(n_labels)
    labels = (torch.rand(n, n_labels, generator=random) < 0.3).float()
    labels[:, list(absent)] = 0
    logits = torch.randn(n, n_labels, generator=random) + 2 * labels - 1
    logits[:, list(absent)] = -9
    scores = MultilabelScores(n_labels)
    scores.update(multilabel(logits, labels), SimpleNamespace(labels=labels))
    return scores.compute()


NAMES = ("NORM", "MI", "LAO/LAE", "HYP")


def test_the_report_is_json_and_says_what_the_scores_say():
    scores = scores_of()
    report = multilabel_report(scores, NAMES, resamples=100)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    for name in ("macro_auroc", "macro_average_precision", "macro_f1", "micro_f1", "exact_match", "loss", "n"):
        assert report[name] == scores[name].item()
    assert (report["classes"], report["classes_scored"], report["classes_left_out"]) == (4, 3, ["HYP"])
    assert [row["name"] for row in report["per_class"]] == list(NAMES)
    assert [row["positives"] for row in report["per_class"]] == scores["labels"].sum(0).tolist()
    assert report["per_class"][1]["auroc"] == scores["auroc"][1].item()
    assert report["per_class"][3] == {
        "name": "HYP",
        "positives": 0,
        "auroc": None,
        "average_precision": None,
        "f1": None,
    }


def test_the_interval_is_that_of_the_resamples():
    scores = scores_of()
    report = multilabel_report(scores, NAMES, seed=3, resamples=200)
    macros = bootstrap_macro_auroc(scores["logits"].numpy(), scores["labels"].numpy(), resamples=200, seed=3)
    assert report["macro_auroc_95"] == np.percentile(macros, [2.5, 97.5]).tolist()
    assert report["macro_auroc_95"][0] < report["macro_auroc"] < report["macro_auroc_95"][1]
    assert report == multilabel_report(scores, NAMES, seed=3, resamples=200)
    assert report["macro_auroc_95"] != multilabel_report(scores, NAMES, seed=4, resamples=200)["macro_auroc_95"]


def test_a_larger_sample_has_a_narrower_interval():
    widths = []
    for n in (50, 800):
        low, high = multilabel_report(scores_of(n), NAMES, resamples=200)["macro_auroc_95"]
        widths.append(high - low)
    assert 2 < widths[0] / widths[1] < 8  # about sqrt(16)


def test_without_a_resample_that_has_both_outcomes_there_is_no_interval():
    scores = MultilabelScores(2)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    scores.update(multilabel(labels, labels), SimpleNamespace(labels=labels))
    reports = [multilabel_report(scores.compute(), ["NORM", "MI"], seed=seed, resamples=1) for seed in range(20)]
    intervals = [report["macro_auroc_95"] for report in reports]
    assert [1.0, 1.0] in intervals
    assert None in intervals  # one of the two was drawn twice
    assert "95 % interval            undefined\n" in multilabel_table(reports[intervals.index(None)])
    with pytest.raises(ValueError, match="resamples: expected at least 1, got 0"):
        multilabel_report(scores.compute(), ["NORM", "MI"], resamples=0)


def test_the_table_has_a_line_for_each_class_and_says_how_many_were_left_out():
    report = multilabel_report(scores_of(), NAMES, resamples=100)
    table = multilabel_table(report)
    assert f"macro AUROC              {report['macro_auroc']:.4f}\n" in table
    assert "classes scored           3 of 4; left out, as all rows or none have the label: 1\n" in table
    header, *lines = table.split("\n\n")[1].splitlines()
    assert header.split() == ["label", "positives", "AUROC", "avg.", "precision", "F1"]
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert lines[0].split()[2] == f"{report['per_class'][0]['auroc']:.4f}"
    assert lines[3].split() == ["HYP", "0", "-", "-", "-"]
    assert len({len(line) for line in [header, *lines]}) == 1


def drawn(figure):
    """What the picture looks like, (height, width, 4)."""
    file = io.BytesIO()
    figure.savefig(file, dpi=50)
    file.seek(0)
    return matplotlib.image.imread(file)


@pytest.mark.parametrize(("n_labels", "named"), [(4, 3), (8, 7), (30, 8)])
def test_roc_curves(n_labels, named):
    scores = scores_of(n_labels=n_labels)
    figure = draw_roc(scores, [f"L{i}" for i in range(n_labels)], "a title")
    [axes] = figure.axes
    assert len(axes.lines) == 2 + n_labels - 1  # chance, mean, and every class that has a curve
    assert axes.get_title() == "a title"
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(legend) == named + 1
    best = int(np.nanargmax(scores["auroc"].numpy()))
    assert legend[0].startswith(f"L{best}  {scores['auroc'][best]:.3f}, {int(scores['positives'][best])} of 60")
    assert legend[-1] == f"mean of {n_labels - 1}  {scores['macro_auroc']:.3f}"
    mean = np.asarray(axes.lines[-1].get_xydata())
    assert abs(np.trapezoid(mean[:, 1], mean[:, 0]) - scores["macro_auroc"]) < 0.01
    assert drawn(figure).std() > 0.01


@pytest.mark.parametrize(("n_labels", "named"), [(4, 4), (30, 8)])
def test_the_running_prediction(n_labels, named):
    random = np.random.default_rng(0)
    signal, probabilities = random.normal(size=(200, 12)), random.random((200, n_labels))
    truth = np.zeros(n_labels)
    truth[2] = 1
    figure = draw_running_prediction(signal, probabilities, [f"L{i}" for i in range(n_labels)], truth, "record 7")
    above, below = figure.axes
    assert [text.get_text() for text in above.get_yticklabels()] == list(LEADS)
    assert above.get_title() == "record 7"
    assert below.get_xlim() == (0, 2)
    legend = [text.get_text() for text in below.get_legend().get_texts()]
    assert legend[0] == f"L2  {probabilities[-1, 2]:.2f} (true)"
    assert len(legend) == named
    lines = {tuple(np.asarray(line.get_ydata())) for line in below.lines}
    assert {tuple(column) for column in probabilities.T} <= lines
    heights = [np.median(np.asarray(line.get_ydata())) for line in above.lines[:12]]
    assert np.all(np.diff(heights) < 0)  # one under the other
    assert drawn(figure).std() > 0.01


def test_a_record_without_a_label_or_a_heartbeat_is_drawn():
    drawn(draw_running_prediction(np.zeros((5, 12)), np.full((5, 2), 0.5), ["a", "b"], [0, 0], ""))


def test_rows_without_an_area_still_have_a_table():
    scores = scores_of(absent=(0, 1, 2, 3))  # no row has a label, and none is predicted
    report = multilabel_report(scores, NAMES, resamples=20)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["classes_left_out"] == list(NAMES)
    table = multilabel_table(report)
    for name in ("macro AUROC", "macro average precision", "macro F1 at 0.5", "micro F1 at 0.5"):
        assert re.search(rf"^{name} +-$", table, re.M)
    assert re.search(r"^all labels right +100.00%$", table, re.M)
    assert re.search(r"^NORM +0 +- +- +-$", table, re.M)
    assert roc_figures(scores, NAMES, "") == {}
    assert list(roc_figures(scores_of(), NAMES, "")) == ["roc"]
