"""Options of the models for users' own recordings; what is null follows from the data."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from multiresconv.tasks.model_options import PooledModelOptions

FEW_ROWS = 2_000  # up to this number of training rows the network is small


@dataclass(frozen=True)
class SizedModelOptions(PooledModelOptions):
    """Options of the network; what is null follows from the data.

    Args:
        d_model: width of the blocks; null means 64 for up to 2,000 training rows, else 128.
        n_layers: number of blocks; null means 4 for up to 2,000 training rows, else 6.
    """

    d_model: int | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    n_layers: int | None = None  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        own = {field.name: getattr(self, field.name) for field in fields(PooledModelOptions)}
        PooledModelOptions(**{**own, **self._sizes(FEW_ROWS)})  # checks what is given

    def arguments_for(self, rows: int, longest: int) -> dict[str, Any]:
        """Return the arguments of the model's constructor for training rows of at most `longest` steps."""
        filled = {**self.arguments(), **self._sizes(rows)}
        if self.depth is None and self.max_length is None and self.memory == "fading":
            filled["max_length"] = max(longest, 2)
        return filled

    def _sizes(self, rows: int) -> dict[str, int]:
        few = rows <= FEW_ROWS
        return {
            "d_model": (64 if few else 128) if self.d_model is None else self.d_model,
            "n_layers": (4 if few else 6) if self.n_layers is None else self.n_layers,
        }


@dataclass(frozen=True)
class RecordingModelOptions(SizedModelOptions):
    """Options of the method and of the network; what is null follows from the data.

    Args:
        method: ridge fits a linear model to untrained features, within seconds. network trains a network. auto does the
            first for up to 300 rows, both for up to 3,000, of which it keeps what is best on the validation rows, and
            trains a network for more.
    """

    method: Literal["auto", "ridge", "network"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method == "ridge" and self.init is not None:
            raise ValueError(
                f"model.init: expected null with the method ridge, which trains no network, got {self.init}"
            )

    def arguments(self) -> dict[str, Any]:
        return {name: value for name, value in super().arguments().items() if name != "method"}
