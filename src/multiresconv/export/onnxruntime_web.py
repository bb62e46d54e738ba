"""`runtime_files`: the files of onnxruntime-web that a page needs, from the user's own npm, a tarball or a folder."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
TARBALL = f"onnxruntime-web-{VERSION}.tgz"
# The single-threaded build without WebGPU: name in the page -> (name in the package, SHA-256). Plain servers know .js.
FILES = {
    "ort.js": ("dist/ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"),
    "ort.wasm": (
        "dist/ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}
LICENCE = """\
ONNX Runtime Web {version}

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def runtime_files(source: Path | None = None) -> dict[str, bytes]:
    """Return the files of onnxruntime-web, name in the page -> content, after checking their sums.

    Without a source they come from the cache of the user. If they are not there yet, `npm pack` gets the package, so
    that the settings of npm (registry, proxy, offline) hold.

    Args:
        source: the tarball that `npm pack` writes, or a folder with the unpacked package; None for the cache and npm.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: there is no npm, it fails, or what it or the user gives is not the pinned version.
    """
    if source is None:
        source = cache_folder() / TARBALL
        if not source.is_file():
            _pack(source)
    contents = _from_folder(source) if source.is_dir() else _from_tarball(source)
    return {**contents, "LICENSE": LICENCE.format(version=VERSION).encode()}


def cache_folder() -> Path:
    """Return the folder for what is downloaded once, below XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multiresconv"


def _pack(target: Path) -> None:
    """Let npm write the tarball to `target`, which appears whole and checked or not at all."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            f"the page needs onnxruntime-web {VERSION}, and there is no npm to get it; give --runtime {TARBALL}, which "
            f"`npm pack onnxruntime-web@{VERSION}` writes on another machine"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--loglevel", "error"]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        packed = Path(folder) / TARBALL
        if found.returncode or not packed.is_file():
            said = [line for line in found.stderr.splitlines() if line.strip()] or ["no message"]
            raise ValueError(
                f"npm pack onnxruntime-web@{VERSION} failed: {said[0].strip()}; mend npm, or give --runtime {TARBALL}"
            )
        _check_integrity(packed)
        os.replace(packed, target)


def _check_integrity(tarball: Path) -> None:
    with open(tarball, "rb") as file:
        found = "sha512-" + base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != INTEGRITY:
        raise ValueError(
            f"{tarball}: expected the package onnxruntime-web {VERSION}, got other bytes; delete it and get it again"
        )


def _from_tarball(path: Path) -> dict[str, bytes]:
    _check_integrity(path)
    with tarfile.open(path) as tarball:
        members = {name: tarball.extractfile(f"package/{inner}") for name, (inner, _) in FILES.items()}
        return {name: member.read() for name, member in members.items() if member is not None}


def _from_folder(folder: Path) -> dict[str, bytes]:
    found = {}
    for name, (inner, digest) in FILES.items():
        content = (folder / inner).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"{folder / inner}: expected that of onnxruntime-web {VERSION}, got another version")
        found[name] = content
    return found
