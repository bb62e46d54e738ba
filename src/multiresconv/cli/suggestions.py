"""`with_suggestions`: says what an option that does not exist may have meant."""

import argparse
import difflib
import re
from collections.abc import Iterable

ALIKE = 0.75  # of `difflib`


def with_suggestions(error: argparse.ArgumentError, options: Iterable[str]) -> argparse.ArgumentError:
    """Return the error of a parser, with options that are alike if it names one that does not exist.

    Args:
        error: the error.
        options: the options of the command, such as --optimizer.lr.
    """
    options, unknown = tuple(options), re.findall(r"--[\w.-]+", str(error)) if "unrecognized" in str(error) else []
    found = [(name, alike) for name in unknown if name not in options and (alike := _alike(name, options))]
    if not found:
        return error
    text = "; ".join(f"for {name} did you mean {' or '.join(alike)}?" for name, alike in found)
    return argparse.ArgumentError(None, f"{error}; {text}")


def _alike(name: str, options: Iterable[str]) -> list[str]:
    """Return the options whose last part is that of `name`, in any spelling; else the nearest few."""
    *_, last = _plain(name)
    exact = [option for option in options if _plain(option)[-1] == last]
    if exact:
        return exact[:3]
    by_name = {name: option for option in options for name in (_plain(option)[-1], "".join(_plain(option)))}
    near = difflib.get_close_matches("".join(_plain(name)), by_name, cutoff=ALIKE)
    return list(dict.fromkeys(by_name[found] for found in near))


def _plain(option: str) -> list[str]:
    """Return the parts of an option in lower case, without hyphens and underscores."""
    return [re.sub(r"[-_]", "", part).lower() for part in option.removeprefix("--").split(".")]
