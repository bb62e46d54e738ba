"""Start processes that do not run the user's script again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Keep processes that are started here from importing the main module.

    A spawned process imports it under another name, for functions that are defined there. This package's are not, and
    a script without `if __name__ == "__main__"` would start processes of its own.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        main.__spec__ = None
        if "__file__" in hidden:
            del main.__file__
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
