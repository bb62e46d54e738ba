"""Download PTB-XL, only its records at 100 Hz, from PhysioNet."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from multiresconv.data.download import fetch
from multiresconv.data.ptbxl.checksums import CHECKSUMS, read_checksums
from multiresconv.data.ptbxl.entries import DATABASE
from multiresconv.data.ptbxl.folder import UNFINISHED, check_folder, lacks
from multiresconv.data.ptbxl.labels import STATEMENTS

SOURCE = "https://physionet.org/files/ptb-xl/1.0.3/"

_RECORD = re.compile(r"records100/[0-9]{5}/[0-9]{5}_lr\.(hea|dat)")
_CONNECTIONS = 4


def prepare_ptbxl(folder: str | Path, *, download: bool = True, source: str = SOURCE) -> None:
    """Make PTB-XL be in the folder: what is found there, whole or a part, is used as it is; else it is downloaded.

    About 0.6 GB in 43,600 small files, each checked by its SHA-256. A download that was interrupted goes on with the
    files that are not there yet, or not right.

    Args:
        folder: of PTB-XL; made if need be.
        download: else what is not there is an error.
        source: URL of the folder to download from.

    Raises:
        FileNotFoundError: not there, and not to be downloaded.
        ValueError: the list of files that the source has is malformed.
        OSError: a file could not be downloaded, or not written.
        ImportError: the training extra is not installed.
    """
    folder = Path(folder)
    if not download or lacks(folder) is None:
        return check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_hand = f"get the folder from {source} by other means"
    fetch(folder / CHECKSUMS, [source + CHECKSUMS], None, by_hand=by_hand)
    (folder / UNFINISHED).touch()  # not before: who is offline may still put the files there by hand
    checksums = read_checksums(folder)
    records = [name for name in checksums if _RECORD.fullmatch(name)]
    if not records or not {DATABASE, STATEMENTS} <= checksums.keys():
        raise ValueError(
            f"{folder / CHECKSUMS}: expected {DATABASE}, {STATEMENTS} and files of records100, got a list of "
            f"{len(checksums)} other files; delete it, and try again"
        )
    local = threading.local()

    def connect() -> None:
        import requests  # not above: it comes with the training extra

        local.session = requests.Session()

    def get(name: str) -> None:
        checksum = f"sha256:{checksums[name]}"
        fetch(folder / name, [source + name], checksum, progress=False, by_hand=by_hand, session=local.session)

    _for_each([*records, STATEMENTS, DATABASE], get, connect)
    (folder / UNFINISHED).unlink()


def _for_each(names: list[str], get: Callable[[str], None], connect: Callable[[], None]) -> None:
    """Call `get` with every name, a few at a time, in threads that called `connect` first; the first error ends it."""
    from tqdm import tqdm

    pool = ThreadPoolExecutor(_CONNECTIONS, initializer=connect)
    try:
        for _ in tqdm(pool.map(get, names), desc="download PTB-XL", total=len(names), unit=" files", disable=None):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
