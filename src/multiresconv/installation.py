"""What is installed: the extras of this package, what is missing of each, and how to get it."""

import re
from importlib.metadata import PackageNotFoundError, requires, version

_PACKAGE = "multiresconv"
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?[^;]*(;.*extra == ['"](?P<extra>[\w-]+)['"])?"""
)


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra; the package is on no public index that we know of."""
    return f"pip install -c constraints.txt -e '.[{extra}]' in a clone of the repository of multiresconv"


def missing(extra: str) -> list[str]:
    """Return the distributions that an extra needs and that are not installed; see `extras` for its names."""
    return [name for name in distributions(extra) if not _is_installed(name)]


def extras() -> list[str]:
    """Return the names of the extras, in the order of `pyproject.toml`."""
    return list(dict.fromkeys(found["extra"] for found in _requirements() if found["extra"]))


def distributions(extra: str | None) -> list[str]:
    """Return the names of the distributions that an extra needs, those of further extras included; None: the core."""
    names: list[str] = []
    for found in _requirements():
        if found["extra"] != extra:
            continue
        if found["name"] == _PACKAGE:
            names += [name for inner in found["extras"].split(",") for name in distributions(inner)]
        else:
            names.append(found["name"])
    return list(dict.fromkeys(names))


def _requirements() -> list[re.Match[str]]:
    return [match for text in requires(_PACKAGE) or () if (match := _REQUIREMENT.match(text))]


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
