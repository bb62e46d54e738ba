"""Checks of tensors read from a file: that they fit a model, and that a model can compute with them."""

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


def check_values(tensors: Mapping[str, Tensor], origin: str) -> None:
    """Raise ValueError unless all values are finite, variances at least 0 and standard deviations above 0."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{origin}: {name}: expected finite values, got NaN or infinity")
        if name.endswith("running_var") and (tensor < 0).any():
            raise ValueError(f"{origin}: {name}: expected variances of at least 0, got {float(tensor.min())}")
        if name.endswith("standardise.std") and (tensor <= 0).any():
            raise ValueError(f"{origin}: {name}: expected standard deviations above 0, got {float(tensor.min())}")
