"""Without scikit-learn, one line says what to install."""

import subprocess

import pytest
from seeded import python

from multiresconv.installation import how_to_install

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
    line = f"multiresconv.estimators: scikit-learn is missing: {how_to_install('estimators')}\n"
    assert done.stdout == line
