"""`card`: the README of an exported folder, written from what the model says of itself."""

from multiresconv.models.description import Input, Output
from multiresconv.models.sequence_model import SequenceModel

NAMES = 20  # at most as many names are listed


def card(model: SequenceModel, chunk: int | None, int8: bool) -> str:
    """Return a card in Markdown: what goes in, what comes out, how to run it."""
    weights = sum(tensor.numel() for tensor in model.state_dict().values())
    if chunk is None:
        form, stream = "whole sequences of any length", ""
    else:
        form = f"chunks of 1 to {chunk} steps, with a state"
        stream = "    python run.py --stream < FILE     # the running answer after each line\n"
    kept = ", the weights of its linear maps as int8" if int8 else ""
    return f"""\
# {type(model).__name__}

{weights:,} numbers; exported by multiresconv as an ONNX file of {form}{kept}.

| | |
|---|---|
| input | {_input(model.input)} |
| output | {_output(model.output)} |

## Use

    pip install onnxruntime numpy
    python run.py FILE...             # CSV, TSV, WAV, NPY or text; - is standard input
{stream}
In a container:

    docker build -t model . && docker run --rm -i model - < FILE

In Python:

```python
from run import Runner

answers = Runner().predict("FILE")  # or an array; one answer for each sequence
```

`model.js` does the same in node and in a browser. In node, `npm install` once, then save this as `predict.js`:

```js
import * as ort from "onnxruntime-web";
import {{ Model }} from "./model.js";

const model = await Model.load(ort, "model.onnx");
console.log(await model.predict({_in_javascript(model.input)}));
```

`run.py` converts and resamples nothing: give it the channels, the unit and the rate above. The model says nothing about
data that differ from those it was trained on.
"""


def _input(input: Input) -> str:
    if input.kind == "tokens":
        return f"tokens: {_listed(input.vocabulary)}"
    if input.kind == "image":
        side = "any size" if input.side is None else f"{input.side} x {input.side} pixels"
        return f"image, {side}, {_listed(input.channels)}, levels 0 to 255"
    unit = "" if input.unit is None else f" in {input.unit}"
    rate = "" if input.rate is None else f", {input.rate:g} samples per second"
    missing = {"refuse": "are refused", "hold": "repeat the last value", "mask": "are allowed (NaN)"}[input.missing]
    return f"signal of {len(input.channels)} channels ({_listed(input.channels)}){unit}{rate}; missing values {missing}"


def _in_javascript(input: Input) -> str:
    """Return an example of a sequence in JavaScript, zeros of the right size."""
    if input.kind == "tokens":
        return "[0, 0]"
    if input.kind == "image":
        return f"new Uint8Array({(input.side or 1) ** 2 * len(input.channels)})"
    return f"new Float32Array({10 * len(input.channels)})"


def _output(output: Output) -> str:
    of_names = f": {_listed(output.names)}" if output.names else ""
    if output.kind == "forecast":
        quantiles = f", quantiles {', '.join(f'{q:g}' for q in output.quantiles)}" if output.quantiles else ""
        return f"forecast of {output.horizon} steps{quantiles}{of_names}"
    what = {"class": "one class", "labels": "any of the labels", "value": "values", "density": "density of each pixel"}
    return what[output.kind] + of_names


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(name.replace("|", "\\|") for name in names[:NAMES]) + more
