"""Download the 100 Hz records of PTB-XL from PhysioNet."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from multiresconv.data.download import fetch
from multiresconv.data.ptbxl.checksums import CHECKSUMS, read_checksums
from multiresconv.data.ptbxl.entries import DATABASE
from multiresconv.data.ptbxl.folder import UNFINISHED, check_folder, lacks
from multiresconv.data.ptbxl.labels import STATEMENTS

SOURCE = "https://physionet.org/files/ptb-xl/1.0.3/"

_RECORD = re.compile(r"records100/[0-9]{5}/[0-9]{5}_lr\.(hea|dat)")
_CONNECTIONS = 4
_MAX_BYTES = 64 << 20  # of a file to download; the largest, a table, has 6 MB


def prepare_ptbxl(folder: str | Path, *, download: bool = True, source: str = SOURCE) -> None:
    """Make sure that the folder holds PTB-XL: use a folder that has it, even with records missing, else download it.

    The download is about 0.6 GB in 43,600 small files, each checked by its SHA-256. After an interruption, the next
    call downloads only the files that are missing or damaged.

    Args:
        folder: folder of PTB-XL; created if it does not exist.
        download: if False, raise an error instead of downloading.
        source: URL of the folder to download from.

    Raises:
        FileNotFoundError: the folder cannot be used, and `download` is False.
        ValueError: the source's list of files is malformed.
        OSError: a file could not be downloaded or written.
        ImportError: the training extra is not installed.
    """
    folder = Path(folder)
    if not download or lacks(folder) is None:
        return check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_hand = f"get the folder from {source} by other means"
    fetch(folder / CHECKSUMS, [source + CHECKSUMS], None, max_bytes=_MAX_BYTES, by_hand=by_hand)
    (folder / UNFINISHED).touch()  # not earlier: an offline user may still add the files by hand
    checksums = read_checksums(folder)
    records = [name for name in checksums if _RECORD.fullmatch(name)]
    if not records or not {DATABASE, STATEMENTS} <= checksums.keys():
        raise ValueError(
            f"{folder / CHECKSUMS}: expected {DATABASE}, {STATEMENTS} and files of records100, got a list of "
            f"{len(checksums)} other files; delete it, and try again"
        )
    local = threading.local()

    def connect() -> None:
        import requests  # not at the top: needs the training extra

        local.session = requests.Session()

    def get(name: str) -> None:
        checksum = f"sha256:{checksums[name]}"
        limits: dict[str, Any] = {"max_bytes": _MAX_BYTES, "progress": False, "by_hand": by_hand}
        fetch(folder / name, [source + name], checksum, session=local.session, **limits)

    _for_each([*records, STATEMENTS, DATABASE], get, connect)
    (folder / UNFINISHED).unlink()


def _for_each(names: list[str], get: Callable[[str], None], connect: Callable[[], None]) -> None:
    """Call `get` on every name, in a few threads that call `connect` first; stop at the first error."""
    from tqdm import tqdm

    pool = ThreadPoolExecutor(_CONNECTIONS, initializer=connect)
    try:
        for _ in tqdm(pool.map(get, names), desc="download PTB-XL", total=len(names), unit=" files", disable=None):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
