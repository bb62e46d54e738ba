"""Damage on purpose, for each kind of file: what random damage would not find."""

import gzip
import io
import json
import math
import struct
import tarfile
import zlib
from collections.abc import Callable
from typing import Any

import torch
from yaml_bomb import BOMB

Damage = Callable[[bytes], bytes]

NESTED = 100_000


def instead(content: bytes | str) -> Damage:
    """Another content, whatever the file held."""
    data = content.encode() if isinstance(content, str) else content
    return lambda _: data


def replaced(old: bytes, new: bytes) -> Damage:
    def damage(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return damage


def in_json(change: Callable[[Any], Any]) -> Damage:
    """Change the value that a JSON file holds, in place."""

    def damage(data: bytes) -> bytes:
        value = json.loads(data)
        change(value)
        return json.dumps(value).encode()

    return damage


ANY_FILE: dict[str, Damage] = {
    "empty": instead(b""),
    "zeros": instead(bytes(1000)),
    "no text": instead(b"\xff\xfe\x00\xd8" * 100),
    "page of a web server": instead("<!DOCTYPE html>\n<html>log in first</html>\n"),
    "cut in half": lambda data: data[: len(data) // 2],
}


def npy(header: str, values: bytes = bytes(192)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


NPY: dict[str, Damage] = {
    **{
        f"shape {shape}": instead(npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"))
        for shape in (
            "(2**70,)",
            f"({2**70},)",
            "(True, 28)",
            "(-1, 2)",
            f"({10**12}, 2)",
            "(0, 2)",
            "12",
            "None",
            "()",
        )
    },
    "nested shape": instead(npy("{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 9_000 + "}")),
    "objects": instead(npy("{'descr': '|O', 'fortran_order': False, 'shape': (12, 2), }")),
    "records": instead(npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (12, 2), }")),
    "dates": instead(npy("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (12, 2), }")),
    "complex numbers": instead(npy("{'descr': '<c16', 'fortran_order': False, 'shape': (6, 2), }")),
    "header of 4 GB": instead(b"\x93NUMPY\x02\x00" + b"\xff" * 4),
    "version 9": replaced(b"NUMPY\x01", b"NUMPY\x09"),
    "NaN": lambda data: data[:-8] + struct.pack("<d", math.nan),
    "1e300": lambda data: data[:-8] + struct.pack("<d", 1e300),
}

CSV: dict[str, Damage] = {
    "header only": instead("I,II\n"),
    "a line of 5 MB": instead("I,II\n" + "1," * 2_500_000),
    "lines without numbers": instead("I,II\na,b\nc,d\n"),
    "NaN": replaced(b"\n", b"\nnan,0.1\n"),
    "infinity": replaced(b"\n", b"\ninf,0.1\n"),
    "1e38": replaced(b"\n", b"\n1e38,0.1\n"),
    "1e999": replaced(b"\n", b"\n1e999,0.1\n"),
    "an empty field": replaced(b"\n", b"\n,0.1\n"),
    "decimal commas": replaced(b"\n", b"\n0,1;0,2\n"),
    "other names": replaced(b"I,II", b"III,V1"),
    "names in another order": replaced(b"I,II", b"II,I"),
    "a zero byte": replaced(b"\n", b"\n0.1\x00,0.1\n"),
}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int = 8, color: int = 0, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


PNG: dict[str, Damage] = {
    "60,000 x 60,000": instead(png(60_000, 60_000)),
    "2^31 - 1 x 1": instead(png(2**31 - 1, 1)),
    "0 x 4": instead(png(0, 4)),
    "no pixels": instead(png(4, 4)),
    "unknown colors": instead(png(4, 4, color=5)),
    "PostScript": instead("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\nshowpage\n"),
    "a picture of text": instead("P2\n4 4\n255\n" + "300 " * 16),
}

HEA: dict[str, Damage] = {
    "unknown format": lambda data: data.replace(b" 16 ", b" 999 "),
    "no gain": replaced(b"1000/mV", b"0/mV"),
    "gain NaN": replaced(b"1000/mV", b"nan/mV"),
    "10^9 signals": replaced(b"ecg 2 ", b"ecg 1000000000 "),
    "10^12 samples": replaced(b" 100 12", b" 100 1000000000000"),
    "no samples": replaced(b" 100 12", b" 100 0"),
    "rate 0": replaced(b" 100 12", b" 0 12"),
    "rate NaN": replaced(b" 100 12", b" nan 12"),
    "samples in another folder": lambda data: data.replace(b"ecg.dat", b"../../ecg.dat"),
    "no samples named": lambda data: data.replace(b"ecg.dat", b""),
    "checksum text": lambda data: data.replace(b" 0 I\n", b"x 0 I\n"),
}

TSV: dict[str, Damage] = {
    "no header": lambda data: data.split(b"\n", 1)[1],
    "header only": instead("Source\tTarget\n"),
    "label 10": instead("Source\tTarget\n[MAX 1 2 ]\t10\n"),
    "wrong label": instead("Source\tTarget\n[MAX 1 2 ]\t3\n"),
    "unbalanced": instead("Source\tTarget\n( ( [MAX 1 ) 2 ) ]\t2\n"),
    "no end": instead("Source\tTarget\n[MAX 1 2\t2\n"),
    "nested": instead("Source\tTarget\n" + "[MAX " * NESTED + "1 " + "] " * NESTED + "\t1\n"),
    "a third column": instead("Source\tTarget\n[MAX 1 2 ]\t2\t2\n"),
}


def idx(magic: int, *sizes: int, values: bytes = b"") -> bytes:
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + values


IDX: dict[str, Damage] = {
    "2^32 - 1 images": instead(idx(0x803, 2**32 - 1, 28, 28)),
    "no images": instead(idx(0x803, 0, 28, 28)),
    "other sizes": instead(idx(0x803, 3, 28, 2**31)),
    "labels": instead(idx(0x801, 3, values=b"\x01\x02\x03")),
    "floating point": instead(idx(0xD03, 3, 28, 28, values=bytes(3 * 784 * 4))),
    "an image more": lambda data: data + bytes(784),
}

BIN: dict[str, Damage] = {
    "label 10": lambda data: b"\x0a" + data[1:],
    "a byte more": lambda data: data + b"\x00",
    "a byte less": lambda data: data[:-1],
}

CONFIG_JSON: dict[str, Damage] = {
    "nested": instead("[" * NESTED),
    "NaN": in_json(lambda config: config["arguments"].update(dropout=math.nan)),
    **{
        f"{name} {value!r}": in_json(lambda config, name=name, value=value: config["arguments"].update({name: value}))
        for name, value in [
            ("n_layers", 10**9),
            ("d_model", 10**9),
            ("d_model", "4"),
            ("d_model", 4.5),
            ("d_model", None),
            ("kernel_size", 10**9),
            ("memory", [10**9]),
            ("memory", [1] * 10_000),
            ("memory", "fading"),
            ("d_input", 10**9),
            ("d_output", 10**9),
            ("pooling", "sum"),
            ("norm", ["layer"]),
            ("more", 1),
        ]
    },
    "no arguments": in_json(lambda config: config.pop("arguments")),
    "format 99": in_json(lambda config: config.update(format=99)),
    "another class": in_json(lambda config: config.update({"class": "MultiresAR"})),
    "unknown class": in_json(lambda config: config.update({"class": "os.system"})),
    "input list": in_json(lambda config: config.update(input=[1])),
    "channels number": in_json(lambda config: config["input"].update(channels=2)),
    "rate text": in_json(lambda config: config["input"].update(rate="fast")),
    "names of numbers": in_json(lambda config: config["output"].update(names=[1, 2])),
    "the same name twice": in_json(lambda config: config["output"].update(names=["a", "a"])),
}


def with_header(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(data: bytes) -> bytes:
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return damage


SAFETENSORS: dict[str, Damage] = {
    "header of 2^63 bytes": lambda data: struct.pack("<Q", 2**63) + data[8:],
    "header nested": instead(struct.pack("<Q", NESTED) + b"[" * NESTED),
    "another shape": with_header(lambda header: header["head.bias"].update(shape=[1, 2])),
    "another dtype": with_header(lambda header: header["head.bias"].update(dtype="I32")),
    "beyond the end": with_header(lambda header: header["head.bias"].update(data_offsets=[10**9, 10**9 + 8])),
    "a tensor missing": with_header(lambda header: header.pop("head.bias")),
    "a weight NaN": lambda data: data[:-4] + struct.pack("<f", math.nan),
    "a weight infinite": lambda data: data[:-4] + struct.pack("<f", math.inf),
    "the last bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
}


def option(name: str, value: str) -> Damage:
    """Another value of an option in config.yaml, written as `value`."""

    def damage(data: bytes) -> bytes:
        lines = data.decode().split("\n")
        found = [number for number, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
        assert found
        lines[found[0]] = lines[found[0]].split(":")[0] + f": {value}"
        return "\n".join(lines).encode()

    return damage


CONFIG_YAML: dict[str, Damage] = {
    "alias bomb": lambda data: data + BOMB.encode(),
    "only a bomb": instead(BOMB),
    "nested": instead("a: " + "[" * NESTED),
    "nested mappings": instead("{a: " * 10_000),
    "too large": lambda data: data + b"#" * 70_000,
    "a tag": lambda data: data + b"more: !!python/object/apply:os.system [ls]\n",
    "a number for a name": lambda data: data + b"1: 2\n",
    "unknown option": lambda data: data.replace(b"model:\n", b"model:\n  more: 1\n"),
    "list": instead("[1, 2]"),
    **{
        f"{name} {value}": option(name, value)
        for name, value in [
            ("n_layers", "1000000000"),
            ("d_model", "1000000000"),
            ("depth", "1000000000"),
            ("d_model", ".nan"),
            ("d_model", "'8'x"),
            ("d_model", "[8]"),
            ("dropout", ".nan"),
            ("memory", f"[{', '.join(['1'] * 1000)}]"),
            ("batch_size", "0"),
            ("eval_batch_size", "-1"),
            ("eval_batch_size", "1e999"),
            ("epochs", "9" * 5_000),
            ("devices", "1000000"),
            ("checkpoint_seconds", ".nan"),
            ("folder", "3"),
            ("folder", "[a, b]"),
            ("norm", "{a: b}"),
        ]
    },
}

RUN_JSON: dict[str, Damage] = {
    "nested": instead("[" * NESTED),
    "nested objects": instead('{"task":' * NESTED),
    "NaN": in_json(lambda about: about["data"].update(train=math.nan)),
    **{
        f"task {value!r}": in_json(lambda about, value=value: about.update(task=value))
        for value in (3, None, ["listops"], {}, "unknown", "smnist", "../listops")
    },
    "no task": in_json(lambda about: about.pop("task")),
    "versions list": in_json(lambda about: about.update(versions=[1])),
    "data list": in_json(lambda about: about.update(data=[1])),
    "rows text": in_json(lambda about: about["data"]["train"].update(rows="all")),
    "checksum list": in_json(lambda about: about["data"]["train"].update(checksum=[1])),
    "classes text": in_json(lambda about: about["data"].update(classes="abc")),
    "standardiser text": in_json(lambda about: about["data"].update(standardiser="none")),
    "standardiser NaN": in_json(lambda about: about["data"].update(standardiser={"mean": math.nan, "std": 1.0})),
    "standardiser without std": in_json(lambda about: about["data"].update(standardiser={"mean": 0.0})),
    "threads text": in_json(lambda about: about.update(threads="two")),
}


def last_line(**values: Any) -> Damage:
    """Other values in the last line of metrics.jsonl; `...` removes one."""

    def damage(data: bytes) -> bytes:
        *lines, last = data.decode().splitlines()
        line = {**json.loads(last), **values}
        kept = {name: value for name, value in line.items() if value is not ...}
        return "".join(f"{line}\n" for line in [*lines, json.dumps(kept)]).encode()

    return damage


METRICS: dict[str, Damage] = {
    "nested": lambda data: data + b"[" * NESTED + b"\n",
    "every line twice": lambda data: data + data,
    "reversed": lambda data: b"".join(reversed(data.splitlines(keepends=True))),
    **{f"step {value!r}": last_line(step=value) for value in ("2", None, [2], {}, 2.5, math.nan, -1, True, 10**30)},
    **{f"loss {value!r}": last_line(loss=value) for value in ("low", None, [1], math.nan, math.inf, True)},
    **{f"kind {value!r}": last_line(kind=value) for value in ("test", None, ["val"], 3)},
    "no loss": last_line(loss=...),
    "no epoch": last_line(epoch=...),
    "best text": last_line(best="yes"),
    "accuracy text": last_line(accuracy="all"),
}


def in_checkpoint(change: Callable[[Any], Any]) -> Damage:
    def damage(data: bytes) -> bytes:
        content = torch.load(io.BytesIO(data), weights_only=True)
        change(content)
        changed = io.BytesIO()
        torch.save(content, changed)
        return changed.getvalue()

    return damage


def first_state(**values: Any) -> Damage:
    return in_checkpoint(lambda content: content["optimizer"]["state"][0].update(values))


class Evil:
    """Stands for an object of a class that a checkpoint must not bring along."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run by the checkpoint",)


CHECKPOINT: dict[str, Damage] = {
    **{
        f"step {value!r}": in_checkpoint(lambda content, value=value: content["state"].update(step=value))
        for value in (2.5, math.nan, "1", None, [1], True, -1, 10**40, 10**9)
    },
    "an object": in_checkpoint(lambda content: content["state"].update(step=Evil())),
    "only a number": in_checkpoint(lambda content: content.clear()),
    "no exp_avg": in_checkpoint(lambda content: content["optimizer"]["state"][0].pop("exp_avg")),
    "no eps": in_checkpoint(lambda content: content["optimizer"]["param_groups"][0].pop("eps")),
    "no optimizer state": in_checkpoint(lambda content: content["optimizer"]["state"].clear()),
    "lr NaN": in_checkpoint(lambda content: content["optimizer"]["param_groups"][0].update(lr=math.nan)),
    "moment of another shape": first_state(exp_avg=torch.zeros(1)),
    "moment without elements": first_state(exp_avg=torch.zeros(0)),
    "moment in float64": first_state(exp_avg=torch.zeros(10, 4, dtype=torch.float64)),
    "moment NaN": first_state(exp_avg=torch.full((10, 4), math.nan)),
    "moment expanded": first_state(exp_avg=torch.zeros(1).expand(10**12)),
    "model in float64": in_checkpoint(
        lambda content: content.update(model={name: tensor.double() for name, tensor in content["model"].items()})
    ),
    "weight NaN": in_checkpoint(lambda content: content["model"]["head.bias"].fill_(math.nan)),
    "weight missing": in_checkpoint(lambda content: content["model"].pop("head.bias")),
    "no model": in_checkpoint(lambda content: content.pop("model")),
}


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def link(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


TAR: dict[str, Damage] = {
    "a member outside": instead(tar((tarfile.TarInfo("../outside"), b"x"))),
    "an absolute member": instead(tar((tarfile.TarInfo("/tmp/outside"), b"x"))),
    "a link": instead(tar((link("/etc/passwd"), b""))),
    "twice the same": instead(tar((tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("a"), b"y"))),
    "5 MB of zeros": lambda _: tar((tarfile.TarInfo("zeros"), bytes(5_000_000))),
    "something behind": lambda data: data + b"more",
}

GZ: dict[str, Damage] = {
    "5 MB of zeros": lambda _: gzip.compress(bytes(5_000_000), mtime=0),
    "a second member": lambda data: data + gzip.compress(b"more", mtime=0),
    "something behind": lambda data: data + b"more",
    "not packed": lambda data: gzip.decompress(data),
}

WAV: dict[str, Damage] = {
    "rate 0": lambda data: data[:24] + bytes(4) + data[28:],
    "rate 2^32": lambda data: data[:24] + b"\xff" * 4 + data[28:],
    "no channels": lambda data: data[:22] + bytes(2) + data[24:],
    "65,535 channels": lambda data: data[:22] + b"\xff" * 2 + data[24:],
    "4 GB of samples": lambda data: data[:40] + b"\xff" * 4 + data[44:],
}

EDF: dict[str, Damage] = {
    "10^8 records": lambda data: data[:236] + b"99999999" + data[244:],
    "no records": lambda data: data[:236] + b"0       " + data[244:],
    "records of 0 s": lambda data: data[:244] + b"0       " + data[252:],
    "9,999 channels": lambda data: data[:252] + b"9999" + data[256:],
    "another label": replaced(b"II", b"IV"),
}


def in_directory(at: int, value: bytes) -> Damage:
    """Write over bytes of the first entry in the directory of a zip file, `at` bytes from its beginning."""

    def damage(data: bytes) -> bytes:
        start = data.index(b"PK\1\2") + at
        return data[:start] + value + data[start + len(value) :]

    return damage


NPZ: dict[str, Damage] = {
    "encrypted": in_directory(8, b"\1"),
    **{f"method {method}": in_directory(10, bytes([method])) for method in (8, 9, 12, 14, 93, 99)},
    "4 GB": in_directory(24, b"\xff\xff\xff\x7f"),
    "another place": in_directory(42, b"\xff\xff\xff\x7f"),
    "another name": in_directory(46, b"Y"),
    "of another name": lambda data: data.replace(b"X.npy", b"Y.npy"),
    "of objects": lambda data: data.replace(b"'<f8'", b"'|O' "),
    "no directory": lambda data: data[: data.index(b"PK\1\2")],
    "a directory of a byte less": lambda data: data[: data.index(b"PK\1\2") - 1] + data[data.index(b"PK\1\2") :],
}

TS: dict[str, Damage] = {
    "header only": instead("@dimensions 2\n@data\n"),
    "no header": instead("1,2:3,4\n"),
    "times that turn back": replaced(b"(0.5,", b"(9.5,"),
    "times missing": replaced(b"(0.5,", b"(,"),
    "a time of text": replaced(b"(0.5,", b"(x,"),
    "infinity": replaced(b"(0.5,", b"(inf,"),
    "another class": replaced(b":y", b":z"),
    "parentheses": replaced(b"(0.5,", b"(" * 10_000),
}

LONG_TABLE: dict[str, Damage] = {
    "header only": lambda data: data[: data.index(b"\n") + 1],
    "another header": replaced(b"who", b"when"),
    "a decimal comma": replaced(b",0.5,", b',"0,5",'),
    "a time twice": replaced(b",0.5,", b",0.0,"),
    "infinity": replaced(b",0.5,", b",inf,"),
    "two columns of a name": replaced(b"V5", b"MLII"),
    "another class in a row": replaced(b"0.5,a", b"0.5,b"),
}

LABEL_TABLE: dict[str, Damage] = {
    "header only": lambda data: data[: data.index(b"\n") + 1],
    "no file": replaced(b"a.npy", b""),
    "another file": replaced(b"a.npy", b"c.npy"),
    "the table itself": replaced(b"a.npy", b"labels.csv"),
    "a folder": replaced(b"a.npy", b"."),
    "a NUL": replaced(b"a.npy", b"a\0npy"),
    "no suffix": replaced(b"a.npy", b"anpy"),
    "a start after the end": replaced(b",20", b",200"),
    "a start of text": replaced(b",20", b",x"),
    "a class alone": lambda data: data.replace(b",2,", b",1,"),
    "a quote": replaced(b"a.npy", b'"a.npy'),
}

ATR: dict[str, Damage] = {
    "cut by a byte": lambda data: data[:-1],
    "no end": lambda data: data[:-2],
    "a skip over the end": instead(b"\x00\xec\x00\x00"),
    "a skip back": instead(b"\x00\xec\xff\xff\x00\x00\x00\x04\x00\x00"),
    "a note without its text": instead(b"\x05\x04\xff\xfc\x00\x00"),
    "an unknown code": instead(b"\x05\xbc\x00\x00"),
    "no annotation": instead(b"\x00\x00"),
}
