"""Models of a hub, against a local fake of its endpoint: what is asked, what comes back, and every refusal."""

import socket
import sys
from pathlib import Path

import pytest
import torch
from fake_hub import TOKEN, Hub, use_hub
from huggingface_hub import constants
from small_models import SIGNAL, classifier

from multiresconv import load, save
from multiresconv.hub import local_folder, upload

NAME = "owner/beats"
X = torch.randn(2, 30, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(classifier(SIGNAL), tmp_path / "model")
    return tmp_path / "model"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def push(folder: Path, *, private: bool = False, revision: str | None = None) -> str:
    """Return the commit."""
    name = upload(files_of(folder), NAME, private=private, revision=revision, message="a model")
    return name.partition("@")[2]


@pytest.mark.parametrize("large", [False, True])
def test_what_is_pushed_is_loaded_bit_for_bit(hub: Hub, folder: Path, large: bool) -> None:
    hub.large = {"model.safetensors"} if large else set()
    commit = push(folder)
    outputs = load(folder)(X)
    for name, revision in ((f"hub:{NAME}", None), (f"hub:{NAME}@{commit}", None), (f"hub:{NAME}", commit)):
        assert torch.equal(load(name, revision=revision)(X), outputs)
    assert files_of(local_folder(f"hub:{NAME}")) == files_of(folder)


def test_only_the_files_of_a_model_are_read(hub: Hub, folder: Path) -> None:
    (folder / "classes.json").write_text("[1, 2, 3]")
    push(folder)
    hub.repositories[NAME].commit(
        "main", {"pytorch_model.bin": b"pickled", "README.md": b"# x", "more/config.json": b""}
    )
    hub.asked.clear()
    found = local_folder(f"hub:{NAME}")
    assert {path.name for path in found.iterdir()} == {"config.json", "model.safetensors", "classes.json"}
    read = [path.rpartition("/")[2] for method, path, _ in hub.asked if method == "GET"]
    assert read == ["beats", "config.json", "classes.json", "model.safetensors"]


def test_a_local_folder_never_touches_the_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    load(folder)
    with pytest.raises(AssertionError, match="a socket was opened"):
        load(f"hub:{NAME}")
    with pytest.raises(ValueError, match=r"model: revision: expected with hub:owner/name only, got 'v1'"):
        load(folder, revision="v1")


def test_a_revision_stays_what_it_was(hub: Hub, folder: Path) -> None:
    first, old = push(folder), load(folder)
    with torch.no_grad():
        old_bias = old.head.bias.clone()
        old.head.bias += 1
    save(old, folder)
    push(folder, revision="new/er")
    assert torch.equal(load(f"hub:{NAME}").head.bias, old_bias)
    assert torch.equal(load(f"hub:{NAME}@new/er").head.bias, old_bias + 1)
    assert push(folder) != first
    assert torch.equal(load(f"hub:{NAME}").head.bias, old_bias + 1)
    assert torch.equal(load(f"hub:{NAME}", revision=first).head.bias, old_bias)


def test_a_commit_in_the_cache_is_not_asked_for(hub: Hub, folder: Path) -> None:
    commit = push(folder)
    load(f"hub:{NAME}")
    hub.asked.clear()
    load(f"hub:{NAME}@{commit}")
    assert hub.asked == []


@pytest.mark.parametrize("how", ["dead", "stall", "page", 503, "offline"])
def test_a_model_in_the_cache_is_loaded_while_the_hub_is_away(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, how: int | str
) -> None:
    push(folder)
    outputs = load(f"hub:{NAME}")(X)
    break_down(hub, monkeypatch, how)
    assert torch.equal(load(f"hub:{NAME}")(X), outputs)
    said = [str(warning.message) for warning in recwarn]
    if how == "offline":
        assert said == []
    else:
        assert len(said) == 1
        assert said[0].startswith(f"hub:{NAME}: {constants.ENDPOINT} ")
        assert said[0].endswith("; this is the model that it had last time")


def break_down(hub: Hub, monkeypatch: pytest.MonkeyPatch, how: int | str) -> None:
    monkeypatch.setattr("multiresconv.hub.TIMEOUT", 0.2)
    if how == "dead":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
    elif how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        hub.fault = how


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("dead", "cannot be reached"),
        ("stall", "does not answer; check the network, or HF_ENDPOINT"),
        ("page", "does not answer as a hub does; check HF_ENDPOINT"),
        (503, "is out of order (status 503); try again later"),
        ("offline", "HF_HUB_OFFLINE is set"),
    ],
)
@pytest.mark.parametrize("verb", ["load", "push"])
def test_a_hub_that_is_away_is_one_line(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, verb: str, how: int | str, said: str
) -> None:
    break_down(hub, monkeypatch, how)
    monkeypatch.setattr("multiresconv.hub.UPLOAD_TIMEOUT", 0.2)
    with pytest.raises(ConnectionError) as error:
        load(f"hub:{NAME}") if verb == "load" else push(folder)
    assert_one_line(error.value, said)
    assert len(hub.asked) <= 1


def assert_one_line(error: BaseException, said: str, name: str = f"hub:{NAME}") -> None:
    text = str(error)
    assert text.startswith(f"{name}: ")
    assert said in text
    assert "\n" not in text


def test_what_the_hub_refuses_to_show_is_one_line(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load(f"hub:{NAME}")
    assert_one_line(
        error.value, "shows no such repository; check the name; if it is private, the token in use may not read"
    )
    push(folder, private=True)
    with pytest.raises(FileNotFoundError) as error:
        load(f"hub:{NAME}@v7")
    assert_one_line(error.value, "has no such revision; name a branch, tag or commit", f"hub:{NAME}@v7")
    use_hub(monkeypatch, hub.url, tmp_path / "another", token=None)
    with pytest.raises(FileNotFoundError) as error:
        load(f"hub:{NAME}")
    assert_one_line(error.value, "if it is private, no token is set: set HF_TOKEN, or hf auth login, to read it")
    hub.repositories[NAME].private = False
    hub.gated = {NAME}
    with pytest.raises(PermissionError) as denied:
        load(f"hub:{NAME}")
    assert_one_line(denied.value, "denies access; no token is set")


def test_a_repository_of_other_models_is_one_line(hub: Hub, folder: Path) -> None:
    commit = push(folder)
    hub.repositories[NAME].commits[commit] = {"config.json": b"{}", "pytorch_model.bin": b"pickled"}
    with pytest.raises(FileNotFoundError) as error:
        load(f"hub:{NAME}")
    assert_one_line(error.value, "expected a model of multiresconv, model.safetensors missing")
    hub.repositories[NAME].commits[commit]["model.safetensors"] = b"something else"
    with pytest.raises(ValueError, match=r"config.json: expected an object of arguments, class, format, input, output"):
        load(f"hub:{NAME}")


def test_a_changed_file_is_refused_as_in_a_local_folder(hub: Hub, folder: Path) -> None:
    commit = push(folder)
    text = hub.repositories[NAME].commits[commit]["config.json"]
    hub.repositories[NAME].commit("main", {"config.json": text.replace(b'"V1"', b'"V2"')})
    with pytest.raises(ValueError, match=r"config.json or model.safetensors is not as it was saved"):
        load(f"hub:{NAME}")


def test_the_token_goes_to_the_endpoint_only(hub: Hub, folder: Path) -> None:
    hub.large = {"model.safetensors"}
    push(folder, private=True)
    load(f"hub:{NAME}")
    assert {authorization for _, _, authorization in hub.asked} == {f"Bearer {TOKEN}"}
    assert sorted((method, authorization) for method, _, authorization in hub.stored) == [("GET", None), ("PUT", None)]


def test_a_public_repository_does_not_get_private_files(hub: Hub, folder: Path) -> None:
    push(folder)
    before = len(hub.repositories[NAME].commits)
    with pytest.raises(PermissionError) as error:
        push(folder, private=True)
    assert_one_line(error.value, "exists and is public; make it private on the hub first")
    assert len(hub.repositories[NAME].commits) == before


@pytest.mark.parametrize("token", [None, "hf_of_somebody_else"])
def test_pushing_without_the_right_to_is_one_line(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str | None
) -> None:
    use_hub(monkeypatch, hub.url, tmp_path / "cache", token=token)
    with pytest.raises((PermissionError, FileNotFoundError)) as error:
        push(folder)
    assert_one_line(
        error.value, "no token is set: set HF_TOKEN" if token is None else "the token in use may not write to it"
    )
    assert hub.repositories == {}


@pytest.mark.parametrize("name", ["", "beats", "a/b/c", "a b/c", "/b", "a/", "../x", "a/b@", "a/b@v1@v2", "a/b@../x"])
def test_names_are_checked_before_anything_is_asked(hub: Hub, name: str) -> None:
    with pytest.raises(ValueError, match=f"^hub:{name}: expected hub:owner/name or hub:owner/name@revision$"):
        load(f"hub:{name}")
    with pytest.raises(ValueError, match=r"^hub:a/b: revision: expected a branch, tag or commit, got 'x/../../y'$"):
        load("hub:a/b", revision="x/../../y")
    with pytest.raises(ValueError, match=r"revision: got 'v2' too; name one of them"):
        load("hub:a/b@v1", revision="v2")
    assert hub.asked == []


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError) as error:
        load(f"hub:{NAME}")
    assert_one_line(error.value, "needs huggingface_hub: pip install -c constraints.txt -e '.[hub]'")
