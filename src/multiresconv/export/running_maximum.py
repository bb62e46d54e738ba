"""`running_maximum`: `torch.cummax`, which PyTorch's exporter does not know, as an ONNX `Scan`."""

# The function below is in the language of onnxscript, which looks like Python but has other types.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

from onnxscript import FLOAT, INT64, graph, script
from onnxscript import opset18 as op


@script(default_opset=op)
def running_maximum(x: FLOAT, dim: int) -> tuple[FLOAT, INT64]:
    """Return the maximum of x (B, L, ...) over the steps so far, and the last step that has it. `dim` is 1."""

    @graph()
    def step(best, place, number, value):
        better = op.GreaterOrEqual(value, best)
        best_now = op.Max(best, value)  # unlike Where, it keeps a NaN
        place_now = op.Where(better, number, place)
        next_number = op.Add(number, op.Constant(value_int=1))
        return best_now, place_now, next_number, op.Identity(best_now), op.Identity(place_now)

    first = op.Gather(x, op.Constant(value_int=0), axis=1)
    nowhere = op.Cast(op.Sub(first, first), to=INT64.dtype)
    _best, _place, _number, values, places = op.Scan(
        first,
        nowhere,
        op.Constant(value_int=0),
        x,
        body=step,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1, 1],
    )
    return values, places
