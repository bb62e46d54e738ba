"""What the command line answers when the core alone is installed: the help, the version and `doctor`."""

import sys
from collections.abc import Sequence

HELP = """\
usage: multiresconv [-h] [--version] COMMAND ...

Long-sequence models with multiresolution convolutional memory

  train      train a model on a task
  evaluate   score the best model of a run
  predict    predict rows of files
  sample     draw images from a density model
  inspect    draw what a model has learned
  explain    draw what spoke for a prediction
  report     write a run as one HTML file
  export     export a model that runs without PyTorch
  push       put a model on a hub
  data       get, generate or verify a data set
  upgrade    rewrite old model folders
  bench      compare the speed of layers
  doctor     say what is installed and whether it works

multiresconv COMMAND --help lists the options of a command.
"""


def answer(arguments: Sequence[str]) -> int:
    """Run what needs none of the extras and return the exit code; 2 with one line on standard error for the rest."""
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"multiresconv {version('multiresconv')}")
        return 0
    if arguments in ([], ["-h"], ["--help"]):
        print(HELP + f"\nAll of them but doctor need the training extra: {_advice()}")
        return 0
    if arguments == ["doctor"]:
        from multiresconv.cli.doctor import doctor

        return doctor()
    print(f"multiresconv: error: this needs the training extra: {_advice()}", file=sys.stderr)
    return 2


def _advice() -> str:
    from multiresconv.installation import how_to_install

    return how_to_install("train")
