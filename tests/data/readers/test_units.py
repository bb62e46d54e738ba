"""Units that differ in their prefix are converted; all others are not."""

import pytest

from multiresconv.data.readers.units import conversion, conversions


@pytest.mark.parametrize(
    ("given", "wanted", "factor"),
    [
        ("mV", "mV", 1),
        ("uV", "mV", 1e-3),
        ("\u00b5V", "mV", 1e-3),
        ("\u03bcV", "mV", 1e-3),
        ("V", "mV", 1e3),
        ("nV", "mV", 1e-6),
        ("mv", "mV", 1),
        ("kPa", "Pa", 1e3),
        ("mmHg", "mmHg", 1),
        ("beats", "beats", 1),
        ("MV", "mV", None),
        ("mA", "mV", None),
        ("mmHg", "mV", None),
        ("", "mV", None),
        ("m", "mV", None),
        ("adu", "mV", None),
        ("s", "m", None),
    ],
)
def test_conversions(given: str, wanted: str, factor: float | None) -> None:
    assert conversion(given, wanted) == factor


def test_a_conversion_is_described() -> None:
    assert conversions([None, "mV", "uV", "V", "uV"], "mV") == "converted from uV, V to mV"
    assert conversions([None, "mV"], "mV") is None
