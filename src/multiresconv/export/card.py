"""`exported_card`: the README of an exported folder."""

from multiresconv.models.card import card
from multiresconv.models.description import Input
from multiresconv.models.sequence_model import SequenceModel


def exported_card(model: SequenceModel, chunk: int | None, int8: bool) -> str:
    """Return a card in Markdown: what goes in, what comes out, how to run it."""
    if chunk is None:
        form, stream = "whole sequences of any length", ""
    else:
        form = f"chunks of 1 to {chunk} steps, with a state"
        stream = "    python run.py --stream < FILE     # the running answer after each line\n"
    kept = ", the weights of its linear maps as int8" if int8 else ""
    lead = f"exported by multiresconv as an ONNX file of {form}{kept}"
    return card(model, type(model).__name__, lead, [("Use", _use(model.input, stream))])


def _use(input: Input, stream: str) -> str:
    return f"""\
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
console.log(await model.predict({_in_javascript(input)}));
```

`run.py` converts and resamples nothing: give it the channels, the unit and the rate above. The model says nothing about
data that differ from those it was trained on.
"""


def _in_javascript(input: Input) -> str:
    """Return an example of a sequence in JavaScript, zeros of the right size."""
    if input.kind == "tokens":
        return "[0, 0]"
    if input.kind == "image":
        return f"new Uint8Array({(input.side or 1) ** 2 * len(input.channels)})"
    return f"new Float32Array({10 * len(input.channels)})"
