"""Pictures: the same answer with one line on what was done, or one line that refuses."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_models import SIDE, digit

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def sixteen(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.astype(np.uint16))


def transparent(colour: int) -> Image.Image:
    """The digit in the alpha channel of one colour."""
    return Image.merge("LA", [Image.new("L", (SIDE, SIDE), colour), Image.fromarray(digit())])


def palette() -> Image.Image:
    return Image.fromarray(digit()).convert("P")


def turned() -> Image.Image:
    image = Image.fromarray(np.rot90(digit(), 1).copy())
    image.getexif()[0x0112] = 6  # has to be turned by 90 degrees clockwise
    return image


def two_frames(path: Path) -> None:
    Image.fromarray(digit()).save(path, save_all=True, append_images=[Image.new("L", (SIDE, SIDE), 255)])


def save(image: Callable[[], Image.Image]) -> Callable[[Path], None]:
    return lambda path: image().save(path, **({"exif": image().getexif()} if image().getexif() else {}))


# Pictures of the same digit; what has to be said, "" for nothing
SAME: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "grey": ("png", save(lambda: Image.fromarray(digit())), ""),
    "TIFF": ("tiff", save(lambda: Image.fromarray(digit())), ""),
    "PGM": ("pgm", save(lambda: Image.fromarray(digit())), ""),
    "BMP": ("bmp", save(lambda: Image.fromarray(digit())), ""),
    "equal colours": ("png", save(lambda: Image.fromarray(digit()).convert("RGB")), ""),
    "a palette": ("png", save(palette), ""),
    "opaque": ("png", save(lambda: Image.fromarray(digit()).convert("RGBA")), ""),
    "16 bits": ("png", save(lambda: sixteen(digit().astype(np.int64) * 257)), "16 bits scaled to 8"),
    "16 bits in a TIFF": ("tiff", save(lambda: sixteen(digit().astype(np.int64) * 257)), "16 bits scaled to 8"),
    "16 bits in a PGM": ("pgm", save(lambda: sixteen(digit().astype(np.int64) * 257)), "16 bits scaled to 8"),
    "8 of 16 bits": ("png", save(lambda: sixteen(digit())), "only 8 are used"),
    "white in the alpha channel": ("png", save(lambda: transparent(255)), "transparent, laid on black"),
    "two frames": ("gif", two_frames, "the first of several frames"),
    "two pages": ("tiff", two_frames, "the first of several frames"),
    "turned": ("png", save(turned), "turned by its EXIF orientation"),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_digit_gives_the_same_answer(case: str, predicted: Any, tmp_path: Path) -> None:
    suffix, write, said = SAME[case]
    good, other = tmp_path / "good.npy", tmp_path / f"in.{suffix}"
    np.save(good, digit())
    write(other)
    expected, seen = predicted("grey", good), predicted("grey", other)
    assert (seen.code, seen.rows, expected.said) == (0, expected.rows, [])
    assert len(seen.said) == (1 if said else 0)
    for line in seen.said:
        assert str(other) in line
        assert said in line


DOUBTED: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "white paper": (lambda: Image.fromarray(255 - digit()), "white paper? It was not inverted"),
    "black in the alpha channel": (lambda: transparent(0), "transparent, laid on white; far brighter than usual"),
    "one colour": (lambda: Image.new("L", (SIDE, SIDE), 0), "all pixels are equal"),
    "12 of 16 bits": (lambda: sixteen(digit().astype(np.int64) * 16), "no pixel is above 1"),
    "zeros and ones": (lambda: Image.fromarray((digit() > 0).astype(np.uint8)), "no pixel is above 1"),
    "colours": (
        lambda: Image.merge("RGB", [Image.fromarray(digit())] * 2 + [Image.new("L", (8, 8))]),
        "turned to grey",
    ),
}


@pytest.mark.parametrize("case", DOUBTED)
def test_what_is_doubtful_is_said(case: str, predicted: Any, tmp_path: Path) -> None:
    image, doubt = DOUBTED[case]
    image().save(tmp_path / "in.png")
    seen = predicted("grey", tmp_path / "in.png")
    assert (seen.code, len(seen.rows), len(seen.said)) == (0, 1, 1)
    assert str(tmp_path / "in.png") in seen.said[0]
    assert doubt in seen.said[0]


def test_a_grey_picture_is_taken_as_colours(predicted: Any, tmp_path: Path) -> None:
    Image.fromarray(digit()).save(tmp_path / "in.png")
    np.save(tmp_path / "in.npy", np.repeat(digit()[:, :, None], 3, axis=2))
    seen = predicted("colours", tmp_path / "in.png", tmp_path / "in.npy")
    assert seen.rows[0] == seen.rows[1]
    assert seen.said == [f"multiresconv: {tmp_path / 'in.png'}: a grey picture, taken as colours"]


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def floats(value: float) -> Image.Image:
    pixels = digit().astype(np.float32)
    pixels[0, 0] = value
    return Image.fromarray(pixels)


def frame_beyond_the_picture() -> bytes:
    """A GIF whose only frame begins to the right of the picture."""
    content = bytearray(saved(Image.fromarray(digit()), "GIF"))
    descriptor = content.index(b"\x2c\0\0\0\0\x08\0\x08\0")
    content[descriptor + 1] = 200
    return bytes(content)


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "floats": ("tiff", lambda: saved(floats(0.5), "TIFF"), "mode F"),
    "NaN": ("tiff", lambda: saved(floats(np.nan), "TIFF"), "mode F"),
    "32 bits": ("tiff", lambda: saved(Image.fromarray(digit().astype(np.int32) * 70000), "TIFF"), "8 or 16 bits"),
    "negative": ("tiff", lambda: saved(Image.fromarray(digit().astype(np.int32) - 9), "TIFF"), "8 or 16 bits"),
    "CMYK": ("tiff", lambda: saved(Image.fromarray(digit()).convert("CMYK"), "TIFF"), "mode CMYK"),
    "nothing visible": ("png", lambda: saved(Image.new("LA", (SIDE, SIDE), (255, 0)), "PNG"), "transparent"),
    "PostScript": ("eps", lambda: EPS, "expected a picture (PNG"),
    "PostScript under another name": ("png", lambda: EPS, "expected a picture (PNG"),
    "an unlisted format": ("ico", lambda: saved(Image.fromarray(digit()), "TGA"), "expected a picture (PNG"),
    "60,000 x 60,000": ("png", lambda: png_of_size(60_000, 60_000), "8 x 8 pixels"),
    "2^31 x 1": ("png", lambda: png_of_size(2**31 - 1, 1), "8 x 8 pixels"),
    "a size of zero": ("png", lambda: png_of_size(0, 8), ""),
    "another size": ("png", lambda: saved(Image.new("L", (8, 9)), "PNG"), "expected 8 x 8 pixels, got 8 x 9"),
    "a frame beyond the picture": ("gif", frame_beyond_the_picture, "expected 8 x 8 pixels, got 208 x 8"),
    "cut": ("png", lambda: saved(Image.fromarray(digit()), "PNG")[:60], ""),
    "nothing": ("png", lambda: b"", "expected a picture (PNG"),
    "text": ("png", lambda: b"0 0 0 0", "expected a picture (PNG"),
    "a missing number": ("csv", lambda: b"1," * 63 + b"\n", "line 1, column 64"),
    "a short row": ("csv", lambda: b"0," * 62 + b"0\n", "line 1: expected 64 number(s), got 63"),
    "a header": ("csv", lambda: b"p," * 63 + b"p\n", "line 1, column 1"),
    "decimal commas": ("csv", lambda: b"0,5;" * 63 + b"0,5\n", "line 1, column 1"),
    "no row": ("csv", lambda: b"", "no image in it"),
    "NaN in a table": ("csv", lambda: b"nan," * 63 + b"1\n", "line 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_for_the_model_is_refused(case: str, predicted: Any, tmp_path: Path) -> None:
    suffix, content, said = REFUSED[case]
    file = tmp_path / f"in.{suffix}"
    file.write_bytes(content())
    seen = predicted("grey", file)
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert str(file) in seen.said[0]
    assert said in seen.said[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, 256, 0.5])
def test_numbers_that_are_no_pixels_are_refused(value: float, predicted: Any, tmp_path: Path) -> None:
    pixels = digit().astype(np.float64)
    pixels[3, 3] = value
    np.save(tmp_path / "in.npy", pixels)
    seen = predicted("grey", tmp_path / "in.npy")
    assert (seen.code, len(seen.said)) == (2, 1)
    assert str(tmp_path / "in.npy") in seen.said[0]
