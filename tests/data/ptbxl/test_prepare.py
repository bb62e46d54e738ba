"""PTB-XL is found, or downloaded from a server that does not always do as it should, and verified."""

import hashlib
import os
import re
import shutil
from functools import partial

import pytest
from http_server import serve
from tiny_ptbxl import DAMAGE, flip_a_bit, header_of, make_ptbxl, name_of, samples_file_of

from multiresconv.data import download
from multiresconv.data.ptbxl import open_ptbxl, prepare_ptbxl, verify_ptbxl
from multiresconv.data.ptbxl import prepare as prepare_module
from multiresconv.data.ptbxl.folder import UNFINISHED

TABLES = ("ptbxl_database.csv", "scp_statements.csv")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_ptbxl(tmp_path_factory.mktemp("original"), n=10)


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "ptbxl")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)


def content_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_sums(files):
    """What a server has: the files, others that nobody needs, and the list of all."""
    files = files | {"records500/00000/00001_hr.dat": b"large", "records100/../x_lr.dat": b"", "LICENSE.txt": b"CC"}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in files.items())
    return files | {"SHA256SUMS.txt": sums.encode()}


@pytest.fixture
def server(original):
    with serve(with_sums(content_of(original))) as server:
        yield server


def test_what_is_needed_is_downloaded_and_used_then(server, original, tmp_path):
    folder = tmp_path / "a" / "ptbxl"
    prepare_ptbxl(folder, source=server.url)
    got = content_of(folder)
    assert got.pop("SHA256SUMS.txt") == server.files["SHA256SUMS.txt"]
    assert got == content_of(original)
    assert len(server.requests) == 1 + 2 + 2 * 10
    names = [name for name, _ in server.requests]
    assert names[0] == "SHA256SUMS.txt"
    assert set(names[1:]) == got.keys()
    prepare_ptbxl(folder, source=server.url)
    assert len(server.requests) == len(names)
    assert len(open_ptbxl(folder, "train", "all")) == 8
    told = "71 statements, 10 records listed, 10 there and sound, their SHA-256 as in SHA256SUMS.txt, 0 missing"
    assert verify_ptbxl(folder) == told


def test_a_part_that_is_found_is_used(folder, server):
    samples_file_of(folder / name_of(2)).unlink()
    prepare_ptbxl(folder, source=server.url)
    prepare_ptbxl(folder, download=False)
    assert server.requests == []
    assert verify_ptbxl(folder) == "71 statements, 10 records listed, 9 there and sound, 1 missing"


def test_without_download_what_is_missing_is_told(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder; name another folder, or download: multires"):
        prepare_ptbxl(tmp_path / "nowhere", download=False)
    assert not (tmp_path / "nowhere").exists()
    shutil.rmtree(folder / "records100")
    with pytest.raises(FileNotFoundError, match="it has no records100, the records at 100 Hz"):
        prepare_ptbxl(folder, download=False)


def test_who_is_offline_may_put_the_records_there_by_hand(server, original, tmp_path):
    server.faults = ["drop"] * 1000
    for name in TABLES:
        shutil.copy(original / name, tmp_path)
    with pytest.raises(OSError, match=r"download failed: .*or get the folder from"):
        prepare_ptbxl(tmp_path, source=server.url)
    shutil.copytree(original / "records100", tmp_path / "records100")
    prepare_ptbxl(tmp_path, source=server.url)
    assert len(open_ptbxl(tmp_path, "train", "all")) == 8


def test_a_server_that_stumbles(server, original, tmp_path):
    server.faults = [503, "fine", "cut", "drop", 503, "fine", 429, "cut", "cut"]
    prepare_ptbxl(tmp_path, source=server.url)
    got = content_of(tmp_path)
    del got["SHA256SUMS.txt"]
    assert got == content_of(original)


@pytest.mark.parametrize("name", ["records100/00000/00005_lr.dat", "scp_statements.csv"])
def test_an_interrupted_download_is_not_used_and_goes_on_with_what_lacks(server, original, tmp_path, name):
    content = server.files[name]
    server.files[name] = b"something else"
    with pytest.raises(OSError, match=f"{re.escape(name)}: download failed: .*served another file"):
        prepare_ptbxl(tmp_path, source=server.url)
    assert not (tmp_path / name).exists()
    for use in (verify_ptbxl, partial(open_ptbxl, split="train", labels="all"), partial(prepare_ptbxl, download=False)):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}: its download is not finished"):
            use(tmp_path)
    server.files[name] = content
    there = content_of(tmp_path).keys()
    damaged = min(tmp_path.rglob("0*_lr.dat"))
    flip_a_bit(damaged.with_suffix(""))
    server.requests.clear()
    prepare_ptbxl(tmp_path, source=server.url)
    asked = {path for path, _ in server.requests}
    assert asked == content_of(original).keys() - there | {str(damaged.relative_to(tmp_path))}
    assert not (tmp_path / UNFINISHED).exists()
    assert content_of(original).items() <= content_of(tmp_path).items()


def test_tables_without_records_are_no_data_set_until_the_download_is_whole(server, original, tmp_path):
    for name in TABLES:
        shutil.copy(original / name, tmp_path)
    missing = server.files.pop("records100/00000/00005_lr.dat")
    with pytest.raises(OSError, match=r"00005_lr.dat: download failed: .*404"):
        prepare_ptbxl(tmp_path, source=server.url)
    with pytest.raises(FileNotFoundError, match="its download is not finished"):
        open_ptbxl(tmp_path, "train", "all")
    server.files["records100/00000/00005_lr.dat"] = missing
    prepare_ptbxl(tmp_path, source=server.url)
    assert len(open_ptbxl(tmp_path, "train", "all")) == 8


@pytest.mark.parametrize(
    ("sums", "wrong"),
    [
        ("<html>log in</html>", r"SHA256SUMS.txt, line 1: expected a SHA-256 and a path, got '<html>log in</html>'"),
        ("", r"SHA256SUMS.txt: expected ptbxl_database.csv, .*, got a list of 0 other files; delete it"),
    ],
)
def test_another_list_of_files(server, tmp_path, sums, wrong):
    server.files["SHA256SUMS.txt"] = sums.encode()
    with pytest.raises(ValueError, match=wrong):
        prepare_ptbxl(tmp_path, source=server.url)


def test_the_source_is_asked_politely(server, tmp_path, monkeypatch):
    at_once, most = [], []

    def fetch(path, *arguments, **options):
        at_once.append(path)
        most.append(len(at_once))
        result = download.fetch(path, *arguments, **options)
        at_once.remove(path)
        return result

    monkeypatch.setattr(prepare_module, "fetch", fetch)
    prepare_ptbxl(tmp_path, source=server.url)
    assert 1 < max(most) <= 4


@pytest.mark.parametrize("kind", DAMAGE)
def test_verify_names_a_damaged_record(folder, kind):
    damage, wrong = DAMAGE[kind]
    damage(folder / name_of(1))
    with pytest.raises(ValueError, match=f"{folder}: 1 damaged: {name_of(1)}: .*{wrong}"):
        verify_ptbxl(folder)


def test_verify_reads_the_files_and_not_the_cache(folder):
    open_ptbxl(folder, "train", "all")
    file = samples_file_of(folder / name_of(1))
    status = file.stat()
    flip_a_bit(folder / name_of(1))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match=r"1 damaged: .*checksum"):
        verify_ptbxl(folder)


def test_verify_compares_with_the_list(folder):
    (folder / "SHA256SUMS.txt").write_bytes(with_sums(content_of(folder))["SHA256SUMS.txt"])
    header = header_of(folder / name_of(1))
    header.write_text(header.read_text() + "# another comment\n")
    (folder / TABLES[1]).write_text((folder / TABLES[1]).read_text().replace("normal ECG", "normal"))
    with pytest.raises(ValueError, match=r"2 damaged: scp_statements.csv: .*; .*/00001_lr.hea: .*SHA256SUMS.txt"):
        verify_ptbxl(folder)


def test_verify_of_nothing(folder):
    for i in range(1, 11):
        header_of(folder / name_of(i)).unlink()
    with pytest.raises(ValueError, match="10 records are listed, and the files of all are missing"):
        verify_ptbxl(folder)
