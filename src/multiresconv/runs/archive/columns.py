"""The columns of the answers for an archive."""

from collections.abc import Iterator, Mapping
from typing import Any

from multiresconv.data.readers.extras import load_extra
from multiresconv.models import Output


def schema_of(output: Output, *, ids: bool, events: bool) -> Any:
    """Return the `pyarrow.Schema` of the answers of a model.

    Args:
        output: of the model.
        ids: True if the table has a column `id`.
        events: True if there is a row for each event.
    """
    arrow = load_extra("pyarrow", "Archives")
    text, time, number = arrow.string(), arrow.float64(), arrow.float32()
    columns = {
        "row": arrow.int64(),
        **({"id": text} if ids else {}),
        "file": text,
        "start": time,
        "stop": time,
        **({"time": time, "event": text} if events else {}),
    }
    if output.kind in ("class", "labels"):
        columns |= {"label": text, "probability": number}
        columns |= {f"probability_{name}": number for name in output.names}
    elif output.kind == "value":
        columns |= {f"value_{name}": number for name in output.names}
    else:
        quantiles = [f"_{quantile:g}" for quantile in output.quantiles] or [""]
        forecasts = [f"forecast_{name}{quantile}" for name in output.names for quantile in quantiles]
        columns |= dict.fromkeys(forecasts, arrow.list_(number))
    return arrow.schema({**columns, "remark": text, "error": text})


def columns_of(output: Output, answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the cell of each column of an answer; see `runs.predict.answer`."""
    if output.kind in ("class", "labels"):
        yield from zip(("label", "probability"), next(iter(answer.items())), strict=True)
        yield from ((f"probability_{name}", probability) for name, probability in answer.items())
    elif output.kind == "value":
        yield from ((f"value_{name}", value) for name, value in answer.items())
    else:
        for name, of_channel in answer.items():
            for quantile, values in of_channel.items():
                yield f"forecast_{name}_{quantile}" if output.quantiles else f"forecast_{name}", values
