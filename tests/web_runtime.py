"""onnxruntime-web for tests, got with npm once; tests skip where there is neither it nor a cached package."""

from pathlib import Path

import pytest

from multiresconv.export.onnxruntime_web import runtime_files


def write_runtime(folder: Path) -> Path:
    """Write ort.js and ort.wasm into a folder and return it, or skip the test."""
    try:
        files = runtime_files()
    except ValueError as error:
        pytest.skip(str(error))
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
