"""Read a picture and say what was done to it."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.remarks import Tell

if TYPE_CHECKING:
    from PIL.Image import Image

# No format that starts another program (EPS) or has no pixels of its own
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM")
MAX_FILE = 1 << 26  # bytes; the pictures that fit a model are small

_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_EIGHT_BIT = ("1", "L", "P", "RGB")
_WITH_ALPHA = ("LA", "PA", "RGBA")
_ORIENTATION = 0x0112  # tag of EXIF; 1 is upright


def read_picture(path: Path, side: int, channels: int, tell: Tell) -> NDArray[np.uint8]:
    """Read a picture of side x side pixels: (side, side, channels), 0 to 255.

    A transparent picture is laid on black if what is visible is light, else on white. 16 bits are scaled to 8. Colours
    become grey, or grey becomes colour, as the channels require. Of several frames the first is taken, and a picture is
    turned as its EXIF orientation says. `tell` takes a remark for each of these. Nothing is inverted or scaled in size.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, or has another format or size, or numbers whose scale is unknown.
    """
    with open(path, "rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ValueError(f"{path}: expected a picture of at most {MAX_FILE} bytes, got more")
    try:
        return _convert(_open(io.BytesIO(content), side, tell), channels, tell)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _open(file: BinaryIO, side: int, tell: Tell) -> "Image":
    """Open, check and load the first frame."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of many pixels and odd metadata; what matters is refused
            image = Image.open(file, formats=FORMATS)
            _check_size(image, side)
            if _has_more_frames(image):
                tell("the first of several frames")
            turned = image.getexif().get(_ORIENTATION, 1) != 1
            image.load()
            if turned:
                tell("turned by its EXIF orientation")
                image = ImageOps.exif_transpose(image)
            _check_size(image, side)  # again: the first frame of a damaged GIF may be larger than the picture
            return image
    except UnidentifiedImageError:
        raise ValueError(f"expected a picture ({', '.join(FORMATS)}), a .npy or a .csv file") from None
    except Image.DecompressionBombError:
        raise ValueError(f"expected {side} x {side} pixels, got hundreds of millions") from None
    except ValueError:
        raise
    except Exception as error:  # of any type: Pillow fails in many ways on damaged files
        raise ValueError(f"not readable ({type(error).__name__}: {error})") from None


def _check_size(image: "Image", side: int) -> None:
    if image.size != (side, side):
        raise ValueError(f"expected {side} x {side} pixels, got {image.size[0]} x {image.size[1]}; scale it")


def _has_more_frames(image: "Image") -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    image.seek(0)
    return True


def _convert(image: "Image", channels: int, tell: Tell) -> NDArray[np.uint8]:
    if image.mode in _SIXTEEN_BIT:
        grey = _eight_bits(np.asarray(image).astype(np.int64), tell)
        pixels = np.repeat(grey[:, :, None], 3, axis=2)
    elif image.mode in _WITH_ALPHA or (image.mode in _EIGHT_BIT and "transparency" in image.info):
        pixels = _flatten(np.asarray(image.convert("RGBA")), tell)
    elif image.mode in _EIGHT_BIT:
        pixels = np.asarray(image.convert("RGB"))
    else:
        raise ValueError(f"expected grey or RGB of 8 or 16 bits, got pixels of mode {image.mode}; convert it to 8 bits")
    coloured = bool((pixels != pixels[:, :, :1]).any())
    if channels == 3:
        if not coloured:
            tell("a grey picture, taken as colours")
        return pixels
    if not coloured:
        return np.ascontiguousarray(pixels[:, :, :1])
    tell("colours turned to grey")
    from PIL import Image as images

    return np.asarray(images.fromarray(np.ascontiguousarray(pixels)).convert("L"))[:, :, None]


def _eight_bits(values: NDArray[np.int64], tell: Tell) -> NDArray[np.uint8]:
    """Scale the full range of 16 bits to 8; values that use 8 bits only are taken as they are."""
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise ValueError(f"expected pixels of 8 or 16 bits, got values from {lowest} to {highest}")
    if highest <= 255:
        tell("16 bits, of which only 8 are used: taken as 0 to 255")
        return values.astype(np.uint8)
    tell("16 bits scaled to 8")
    return np.rint(values / 257).astype(np.uint8)


def _flatten(pixels: NDArray[np.uint8], tell: Tell) -> NDArray[np.uint8]:
    """Lay RGBA pixels on black if what is visible is light, else on white."""
    colours, alpha = pixels[:, :, :3].astype(np.float64), pixels[:, :, 3:] / 255.0
    if (alpha == 1).all():
        return np.ascontiguousarray(pixels[:, :, :3])
    if not alpha.any():
        raise ValueError("expected something visible, all pixels are transparent")
    light = (colours * alpha).sum() / (3 * alpha.sum()) >= 127.5
    tell(f"transparent, laid on {'black' if light else 'white'}")
    return np.rint(colours * alpha + (0.0 if light else 255.0) * (1 - alpha)).astype(np.uint8)
