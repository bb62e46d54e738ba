"""CIFAR-10 density estimation: model the probability of a colour image pixel by pixel, in bits per dimension."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from multiresconv.models import MultiresAR
from multiresconv.tasks.cifar_data import CifarData
from multiresconv.tasks.image_rows import ImageBatch, ImageRows, ImageTask, image_input
from multiresconv.tasks.model_options import ModelOptions
from multiresconv.tasks.tables import aligned
from multiresconv.tasks.task import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from multiresconv.tasks.density_scores import DensityScores


@dataclass(frozen=True)
class MixtureOptions:
    """The distribution of a pixel.

    Args:
        n_mixtures: components of the mixture of discretized logistics.
    """

    n_mixtures: int = 10


class CifarDensity(ImageTask):
    """Model the density of CIFAR-10 images. Defaults are the paper's unless --recipe or --config is given."""

    name = "cifar-density"
    monitor = "bits_per_dim"
    maximize = False

    def __init__(self, data: CifarData, task: MixtureOptions, model: ModelOptions) -> None:
        self.data, self.task, self.model = data, task, model

    def build(self) -> MultiresAR:
        return MultiresAR(
            n_channels=len(self.data.mean),
            input=image_input(self.data),
            **asdict(self.task),
            **self.model.arguments(),
        )

    def run(self, model: MultiresAR, batch: ImageBatch) -> Outcome:
        """Compute the loss, which is the bits per dimension of each image."""
        bits = model.bits_per_dim(batch.pixels)
        return Outcome(bits, None, bits)

    def scores(self) -> "DensityScores":
        from multiresconv.tasks.density_scores import DensityScores  # torchmetrics takes seconds to import

        return DensityScores()

    def report(self, scores: Mapping[str, Tensor]) -> dict[str, Any]:
        """Report the mean bits per dimension with its 95 % interval, from the standard error over images."""
        mean, error = float(scores["bits_per_dim"]), float(scores["standard_error"])
        return {
            "n": int(scores["n"]),
            "bits_per_dim": mean,
            "bits_per_dim_95": [mean - 1.96 * error, mean + 1.96 * error],
        }

    def table(self, report: Mapping[str, Any]) -> str:
        low, high = report["bits_per_dim_95"]
        return aligned(
            {
                "n": str(report["n"]),
                "bits/dim": f"{report['bits_per_dim']:.4f} (8 without a model)",
                "95 % interval": f"{low:.4f} to {high:.4f}",
            }
        )

    def figures(self, scores: Mapping[str, Tensor], title: str) -> dict[str, "Figure"]:
        return {}

    def examples(self, model: MultiresAR, rows: ImageRows, title: str) -> dict[str, "Figure"]:
        """Draw images from the model, and three completions of the upper half of some images of `rows`."""
        from multiresconv.models import sample
        from multiresconv.tasks.image_pictures import draw_completions, draw_grid

        side = self.data.side
        drawn = sample(model, 32, side * side, seed=0)
        images = torch.stack([torch.from_numpy(rows[i][0]) for i in range(min(len(rows), 8))])
        half = images[:, : side * side // 2]
        completed = sample(model, 3 * len(half), side * side, prefix=half.repeat_interleave(3, dim=0), seed=0)

        def square(pixels: Tensor) -> Any:
            return pixels.reshape(*pixels.shape[:-2], side, side, -1).numpy()

        return {
            "samples": draw_grid(square(drawn), f"{title}: drawn from the model"),
            "completions": draw_completions(square(images), square(completed.unflatten(0, (-1, 3))), side // 2, title),
        }
