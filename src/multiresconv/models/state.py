"""`check_state`: checks that tensors read from a file fit a model."""

from collections.abc import Mapping

from torch import Tensor


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], origin: str) -> None:
    """Raise unless `found`, read from `origin`, has the names and shapes of `expected`.

    A floating-point tensor may have another floating-point dtype, such as half precision.

    Raises:
        ValueError: tensors are missing, unknown or have another shape or kind of dtype; the message names them.
    """
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        faults = [f"{what} {', '.join(names)}" for what, names in (("missing", missing), ("unknown", unknown)) if names]
        raise ValueError(f"{origin}: not the tensors of this model: {'; '.join(faults)}")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise ValueError(f"{origin}: {name}: expected shape {tuple(tensor.shape)}, got {tuple(found[name].shape)}")
        if found[name].is_floating_point() != tensor.is_floating_point():
            raise ValueError(f"{origin}: {name}: expected {tensor.dtype} or alike, got {found[name].dtype}")
