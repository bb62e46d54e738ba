"""An archive is unpacked as it was packed, or refused with its name, and then it leaves nothing anywhere."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data.archive import unpacked

CONTENT = bytes(range(256)) * 20


def entry(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, target
    return info


def tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as file:
        for info, content in members:
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def good(name: str = "a/good") -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, size=len(CONTENT)), CONTENT


def tree(folder: Path) -> dict[str, bytes | None]:
    """Content of each file, None for each folder, whatever their names."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(tmp_path: Path, packed: bytes, *, max_bytes: int = 1_000_000) -> str:
    """The message, once it is sure that everything is as it was before."""
    archive = tmp_path / "deep" / "archive.tar.gz"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(packed)
    where = archive.parent / "where"
    where.mkdir(exist_ok=True)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=r"archive\.tar\.gz") as caught, unpacked(archive, where, max_bytes=max_bytes):
        pass
    assert tree(tmp_path) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


NAMES = st.lists(
    st.text("abcé. -_", min_size=1, max_size=6).filter(lambda part: part.strip(". ") != ""), min_size=1, max_size=3
).map("/".join)


@given(files=st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5), packing=st.sampled_from([0, 1, 2]))
@examples(50)
def test_gives_back_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], packing: int
) -> None:
    files = {name: v for name, v in files.items() if not any(other.startswith(f"{name}/") for other in files)}
    where = tmp_path_factory.mktemp("where")
    archive = where / "x.tar.gz"
    members = [(entry(name, size=len(content)), content) for name, content in files.items()]
    archive.write_bytes(gzip.compress(tar(*members, format=packing)))
    with unpacked(archive, where, max_bytes=1_000_000) as folder:
        assert folder.parent == where
        assert {name: content for name, content in tree(folder).items() if content is not None} == files
    assert list(where.iterdir()) == [archive]


def test_what_is_moved_out_stays_and_an_error_of_the_caller_passes(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    folders = [(entry("./", tarfile.DIRTYPE), b""), (entry("a", tarfile.DIRTYPE), b"")]
    archive.write_bytes(gzip.compress(tar(*folders, good())))
    with pytest.raises(ValueError, match=r"^mine$"), unpacked(archive, tmp_path, max_bytes=1_000_000) as folder:  # noqa: PT012
        os.replace(folder / "a" / "good", tmp_path / "kept")
        raise ValueError("mine")
    assert tree(tmp_path) == {"x.tar.gz": archive.read_bytes(), "kept": CONTENT}


def test_permissions_are_not_taken_over(tmp_path: Path) -> None:
    info, content = good()
    info.mode = 0o6777
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(tar((info, content))))
    with unpacked(tmp_path / "x.tar.gz", tmp_path, max_bytes=1_000_000) as folder:
        assert (folder / "a" / "good").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "../../evil",
        "a/../../evil",
        "..",
        "a/..",
        "TMP/evil",
        "//evil",
        "..\\evil",
        "a\\..\\..\\evil",
        "C:\\evil",
        "C:evil",
        "\\\\host\\share\\evil",
    ],
)
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_name_that_climbs_out(tmp_path: Path, name: str, kind: bytes) -> None:
    size = len(CONTENT) if kind == tarfile.REGTYPE else 0
    name = name.replace("TMP", str(tmp_path))  # an absolute path that may be looked at
    assert repr(name) in refused(tmp_path, gzip.compress(tar(good(), (entry(name, kind, size=size), CONTENT[:size]))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["..", "../../outside", "/", "/etc/passwd", "a/good", "a"])
def test_link_and_what_is_written_through_it(tmp_path: Path, kind: bytes, target: str) -> None:
    (tmp_path / "outside").mkdir()
    packed = tar(good(), (entry("link", kind, target=target), b""), good("link/evil"), good("link"))
    assert "'link' is a link" in refused(tmp_path, gzip.compress(packed))


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"V", b"Z"]
)
def test_what_is_no_file(tmp_path: Path, kind: bytes) -> None:
    message = refused(tmp_path, gzip.compress(tar(good(), (entry("odd", kind), b""))))
    assert "'odd'" in message or kind == b"Z"


@pytest.mark.parametrize(
    ("first", "second"), [("a/x", "a/x"), ("a/x", "a/./x"), ("a", "a/x"), ("a/x", "a"), ("a", ".")]
)
def test_name_that_comes_twice(tmp_path: Path, first: str, second: str) -> None:
    assert f"member {second!r} comes twice" in refused(tmp_path, gzip.compress(tar(good(first), good(second))))


def test_more_bytes_than_allowed(tmp_path: Path) -> None:
    bomb = tar((entry("zeros", size=50_000_000), bytes(50_000_000)))
    assert "at most 1000000 bytes" in refused(tmp_path, gzip.compress(bomb, 1))
    assert "at most 10000 bytes" in refused(tmp_path, gzip.compress(tar(good("a"), good("b"))), max_bytes=10_000)


def test_header_as_large_as_a_bomb(tmp_path: Path) -> None:
    header = entry("x", tarfile.GNUTYPE_LONGNAME, size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    assert "at most" in refused(tmp_path, gzip.compress(header + bytes(50_000_000), 1))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_negative_size(tmp_path: Path, kind: bytes) -> None:
    refused(tmp_path, gzip.compress(entry("x", kind, size=-1024).tobuf(tarfile.GNU_FORMAT) + tar(good())))


def test_headers_without_end(tmp_path: Path) -> None:
    chain = entry("x", tarfile.XHDTYPE, size=0).tobuf(tarfile.USTAR_FORMAT) * 2000
    refused(tmp_path, gzip.compress(chain + tar(good()), 1), max_bytes=10_000_000)


def test_truncated_anywhere(tmp_path: Path) -> None:
    whole = gzip.compress(tar(good("a"), good("b")))
    for size in range(0, len(whole), 7):
        assert "damaged" in refused(tmp_path, whole[:size])
    for size in (5, 700, 512 + len(CONTENT) - 1):  # packed after it was cut
        assert "damaged" in refused(tmp_path, gzip.compress(tar(good("a"))[:size]))


@given(data=st.data())
@examples(80)
def test_damage_does_no_harm(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes of the tar changed before it was packed, or after: an error that names the archive, or files inside."""
    content = bytearray(tar(good("a/b"), good("c"), format=data.draw(st.sampled_from([0, 1, 2]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 1024))] = data.draw(st.integers(0, 255))
    packed = bytearray(gzip.compress(content, 1, mtime=0))
    if data.draw(st.booleans()):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    where = tmp_path_factory.mktemp("where")
    (where / "x.tar.gz").write_bytes(packed)
    message = None
    try:
        with unpacked(where / "x.tar.gz", where, max_bytes=100_000) as folder:
            assert not any(path.is_symlink() for path in folder.rglob("*"))
    except ValueError as error:
        message = str(error)
    assert message is None or message.startswith(str(where / "x.tar.gz"))
    assert [path.name for path in where.iterdir()] == ["x.tar.gz"]


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", tar(good()), gzip.compress(b""), gzip.compress(b"no tar" * 500)],
    ids=["nothing", "a page", "a tar that is not packed", "packed nothing", "packed text"],  # gzip writes the time
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    assert "damaged: expected a whole .tar.gz file" in refused(tmp_path, content)


def test_missing_archive_names_itself(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"none\.tar\.gz"),
        unpacked(tmp_path / "none.tar.gz", tmp_path, max_bytes=1),
    ):
        pass
