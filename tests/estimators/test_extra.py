"""Without scikit-learn, one line says what to install."""

import subprocess

import pytest
from seeded import python

PROGRAM = """
import sys
sys.modules["sklearn"] = None
try:
    import multiresconv.estimators
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_extra_is_named() -> None:
    done = subprocess.run(python(PROGRAM), capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == (
        "multiresconv.estimators: scikit-learn is missing; install it with pip install 'multiresconv[estimators]'\n"
    )
