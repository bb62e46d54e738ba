"""Import the libraries that read single formats; they come with extras of the installation."""

from importlib import import_module
from typing import Any

from multiresconv.installation import how_to_install


def load_extra(module: str, needed_by: str, extra: str = "signals") -> Any:
    """Import a module; if it is not installed, say how to get it.

    Args:
        module: name of the module.
        needed_by: what needs it, in the plural, such as "EDF files".
        extra: the extra of this package that installs it.

    Raises:
        ModuleNotFoundError: the module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != top:
            raise
        raise ModuleNotFoundError(f"{needed_by} need {top}: {how_to_install(extra)}", name=top) from None
