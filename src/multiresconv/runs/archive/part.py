"""Predict the recordings of one part of an archive: rows of the table in, rows of answers out."""

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any

import torch

from multiresconv.data.readers.extras import load_extra
from multiresconv.devices import choose_device
from multiresconv.models import Output, SequenceModel
from multiresconv.models.files import load_model
from multiresconv.runs.archive.columns import columns_of, schema_of
from multiresconv.runs.archive.pieces import Piece, line_of, read_pieces
from multiresconv.runs.archive.rows import ArchiveRow, has_ids, read_part
from multiresconv.runs.archive.work import Answers, Failure, Outcome, Task, Work
from multiresconv.runs.predict import answer, outputs

HELD = 1 << 24  # numbers of the signals that are held to be sorted by length


def attempt(work: Work, task: Task) -> Outcome:
    """Do a task, and return what is wrong instead of raising it: processes of every kind can send that home."""
    try:
        return predict_task(work, task)
    except (ImportError, MemoryError, OSError, ValueError) as error:
        return Failure(task, line_of(error) if not isinstance(error, ImportError) else str(error), True)
    except Exception:
        return Failure(task, traceback.format_exc(), False)


def predict_task(work: Work, task: Task) -> Answers:
    """Read the recordings of a task and predict them; equal arguments give equal answers.

    Raises:
        OSError, ValueError: the model or the file with the rows cannot be read.
        ModuleNotFoundError: the extra that reads a format is not installed.
    """
    model = prepared_model(work)
    rows = read_part(work.rows, task.part)
    answers = predict_rows(model, rows if task.row is None else [rows[task.row]], work)
    return packed(work, model.output, task, answers)


@lru_cache(maxsize=1)
def prepared_model(work: Work) -> SequenceModel:
    """Load the model of this process, and set the number of its threads."""
    torch.set_num_threads(work.threads)
    return load_model(work.model, choose_device(work.device))


def predict_rows(model: SequenceModel, rows: Sequence[ArchiveRow], work: Work) -> list[dict[str, Any]]:
    """Return the answers for rows, in their order, as cells by column; see `schema_of`.

    A row has one answer, or several if it is cut into windows. Sequences of similar length are computed together.
    """
    answers = [cells for held in _held(read_pieces(model, rows, work)) for cells in _answered(model, held, work)]
    return sorted(answers, key=lambda cells: cells["row"])  # stable: windows are read in their order


def packed(work: Work, output: Output, task: Task, answers: list[dict[str, Any]]) -> Answers:
    """Return the answers of a model with this output as a Parquet file."""
    schema = schema_of(output, ids=has_ids(work.rows), events=work.events is not None)
    table = load_extra("pyarrow", "Archives").Table.from_pylist(answers, schema=schema)
    return Answers(task, _file_of(table), sum(cells["error"] is not None for cells in answers))


def given_up(work: Work, output: Output, task: Task, reason: str) -> Answers:
    """Return the answers of a task of one row that cannot be done."""
    assert task.row is not None
    row = read_part(work.rows, task.part)[task.row]
    return packed(work, output, task, [{**row._asdict(), "error": reason}])


def joined(of_rows: Mapping[Task, Answers]) -> Answers:
    """Return the answers for a part, given those for each of its rows."""
    arrow, parquet = load_extra("pyarrow", "Archives"), load_extra("pyarrow.parquet", "Archives")
    answers = [of_rows[task] for task in sorted(of_rows)]
    table = arrow.concat_tables(parquet.read_table(BytesIO(of_row.table)) for of_row in answers)
    return Answers(Task(answers[0].task.part), _file_of(table), sum(of_row.failed for of_row in answers))


def _file_of(table: Any) -> bytes:
    file = BytesIO()
    load_extra("pyarrow.parquet", "Archives").write_table(table, file)
    return file.getvalue()


def _held(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield the pieces in groups whose signals fit into memory."""
    held, size = list[Piece](), 0
    for piece in pieces:
        held.append(piece)
        size += 0 if piece.signal is None else piece.signal.numel()
        if size >= HELD:
            yield held
            held, size = [], 0
    yield held


def _answered(model: SequenceModel, pieces: Sequence[Piece], work: Work) -> list[dict[str, Any]]:
    """Return the answers for pieces in their order."""
    answers: list[dict[str, Any]] = [{**piece.place, "remark": piece.remark, "error": piece.error} for piece in pieces]
    signals = {place: piece.signal for place, piece in enumerate(pieces) if piece.signal is not None}
    by_length = sorted(signals, key=lambda place: len(signals[place]))
    found = outputs(model, ((signals[place],) for place in by_length), batch_size=work.batch_size)
    for place, output in zip(by_length, found, strict=True):
        cells = answers[place]
        try:
            cells |= dict(columns_of(model.output, answer(model, output, str(work.base / cells["file"]))))
        except ValueError as error:  # the output is not finite
            cells["error"] = line_of(error)
    return answers
