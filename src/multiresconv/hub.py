"""Model folders on a hub, named `hub:owner/name` or `hub:owner/name@revision`.

Only such a name reaches the network, through huggingface_hub of the extra `hub`, which is imported on first use. Its
environment variables hold: HF_ENDPOINT names a mirror, HF_TOKEN opens private repositories, HF_HUB_OFFLINE allows no
request, HF_HUB_CACHE is the folder of downloads.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from multiresconv.installation import how_to_install

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PREFIX = "hub:"
# In the order of their download: a cache with the last one has all. A `SequenceClassifier` of numbers has classes.json.
FILES_OF_A_MODEL = ("config.json", "classes.json", "model.safetensors")
NEEDED = ("config.json", "model.safetensors")
TIMEOUT = 10.0  # seconds without an answer after which the hub counts as unreachable
UPLOAD_TIMEOUT = 60.0  # of each request of an upload; the hub checks what it got before it answers

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)[\w-][\w./+-]*", re.ASCII)
_COMMIT = re.compile("[0-9a-f]{40}")


class Reference(NamedTuple):
    """A repository, "owner/name", and its branch, tag or commit; None is the branch "main"."""

    repository: str
    revision: str | None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + ("" if self.revision is None else f"@{self.revision}")


def is_on_hub(folder: str | os.PathLike[str]) -> bool:
    """Return True for `hub:...`; anything else is a local folder."""
    return os.fspath(folder).startswith(PREFIX)


def local_folder(folder: str | os.PathLike[str], revision: str | None = None) -> Path:
    """Return the path of a local folder as it is; download a model of the hub and return the folder of its files.

    The files go to the cache of huggingface_hub. A commit that is in the cache is not asked for again. A branch or a
    tag is looked up each time; if the hub does not answer, the files that it had last time are used, and a warning
    says so.

    Args:
        folder: path of a model folder, `hub:owner/name` or `hub:owner/name@revision`.
        revision: branch, tag or commit of a model of the hub; default "main".

    Raises:
        ConnectionError: the hub does not answer or may not be asked, and the cache does not have the model.
        FileNotFoundError: the hub has no such repository or revision, or it holds no model of this library.
        ModuleNotFoundError: the extra `hub` is missing.
        PermissionError: the hub denies access.
        ValueError: this is no name of a repository, or a local folder was given with a revision.
    """
    if not is_on_hub(folder):
        if revision is not None:
            raise ValueError(f"{folder}: revision: expected with hub:owner/name only, got {revision!r}")
        return Path(folder)
    reference = _parse(os.fspath(folder).removeprefix(PREFIX), revision)
    with _told(str(reference)) as api:
        return _download(api, reference)


def upload(
    files: Mapping[str, bytes], repository: str, *, private: bool, revision: str | None = None, message: str
) -> str:
    """Put files into a repository in one commit, after creating repository and branch if need be.

    Args:
        files: content by path in the repository.
        repository: "owner/name", also with `hub:` in front.
        private: create the repository as a private one.
        revision: the branch; default "main".
        message: title of the commit.

    Returns:
        The name of what was uploaded: `hub:owner/name@commit`.

    Raises:
        ConnectionError: the hub does not answer or may not be asked.
        ModuleNotFoundError: the extra `hub` is missing.
        PermissionError: the hub denies access, or the repository exists and is public, but `private` was asked for.
        ValueError: this is no name of a repository.
    """
    reference = _parse(repository.removeprefix(PREFIX), revision)
    if reference.revision is not None and _COMMIT.fullmatch(reference.revision):
        raise ValueError(f"{reference}: expected a branch to commit to, got a commit")
    with _told(str(reference), "write to it") as api, _bounded():
        from huggingface_hub import CommitOperationAdd

        api.create_repo(reference.repository, private=True if private else None, exist_ok=True)
        if private and not api.model_info(reference.repository, timeout=TIMEOUT).private:
            raise PermissionError(f"{reference}: exists and is public; make it private on the hub first")
        if reference.revision is not None:
            api.create_branch(reference.repository, branch=reference.revision, exist_ok=True)
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        commit = api.create_commit(
            reference.repository, operations, commit_message=message, revision=reference.revision
        )
    return f"{PREFIX}{reference.repository}@{commit.oid}"


def _parse(name: str, revision: str | None) -> Reference:
    repository, at, named = name.partition("@")
    if not _NAME.fullmatch(repository) or (at and not _REVISION.fullmatch(named)):
        raise ValueError(f"{PREFIX}{name}: expected hub:owner/name or hub:owner/name@revision")
    if named and revision not in (None, named):
        raise ValueError(f"{PREFIX}{name}: revision: got {revision!r} too; name one of them")
    if revision is not None and not _REVISION.fullmatch(revision):
        raise ValueError(f"{PREFIX}{name}: revision: expected a branch, tag or commit, got {revision!r}")
    return Reference(repository, named or revision)


def _download(api: "HfApi", reference: Reference) -> Path:
    """Return the folder of the files; raises errors of huggingface_hub, and FileNotFoundError for a missing file."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, revision = reference
    if revision is not None and _COMMIT.fullmatch(revision):
        try:
            return _cached(api, reference)
        except LocalEntryNotFoundError:
            pass
    try:
        info = api.model_info(repository, revision=revision, timeout=TIMEOUT)
    except Exception as error:
        reason = _why_unreachable(error)
        if reason is None:
            raise
        try:
            folder = _cached(api, reference)
        except LocalEntryNotFoundError:
            raise ConnectionError(f"{reference}: {reason}, and the model is not in the cache ({_cache()})") from error
        if not _is_offline():
            warnings.warn(f"{reference}: {reason}; this is the model that it had last time", stacklevel=4)
        return folder
    there = {file.rfilename for file in info.siblings or ()}
    if absent := [name for name in NEEDED if name not in there]:
        raise FileNotFoundError(f"{reference}: expected a model of multiresconv, {' and '.join(absent)} missing")
    first = _fetch(api, reference, NEEDED[0])
    at_commit = Reference(repository, first.parent.name)  # so that all files are of one commit
    for name in FILES_OF_A_MODEL[1:]:
        if name in there:
            _fetch(api, at_commit, name)
    return first.parent


def _fetch(api: "HfApi", reference: Reference, name: str) -> Path:
    repository, revision = reference
    return Path(api.hf_hub_download(repository, name, revision=revision, etag_timeout=TIMEOUT))


def _cached(api: "HfApi", reference: Reference) -> Path:
    """Return the folder of the files in the cache; raises LocalEntryNotFoundError if it lacks one that is needed."""
    repository, revision = reference
    paths = [Path(api.hf_hub_download(repository, name, revision=revision, local_files_only=True)) for name in NEEDED]
    return paths[0].parent


@contextmanager
def _told(name: str, purpose: str = "read it") -> Iterator["HfApi"]:
    """Give the client of the hub, and turn its errors into one line: what, where, what to do."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ModuleNotFoundError(f"{name}: needs huggingface_hub: {how_to_install('hub')}") from error
    from httpx2 import HTTPError
    from huggingface_hub.errors import FileMetadataError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield HfApi(library_name="multiresconv")
    except (HTTPError, OfflineModeIsEnabled, FileMetadataError, JSONDecodeError) as error:
        _raise_told(name, purpose, error)
    except LocalEntryNotFoundError as error:  # the hub answered at first
        raise ConnectionError(f"{name}: {_endpoint()} stopped answering; try again") from error


def _raise_told(name: str, purpose: str, error: Exception) -> NoReturn:
    from huggingface_hub import get_token
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if reason := _why_unreachable(error):
        raise ConnectionError(f"{name}: {reason}") from error
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    token = "the token in use may not" if get_token() else "no token is set: set HF_TOKEN, or hf auth login, to"
    if isinstance(error, RevisionNotFoundError):
        raise FileNotFoundError(f"{name}: {_endpoint()} has no such revision; name a branch, tag or commit") from error
    denied = status in (401, 403) and not isinstance(error, RepositoryNotFoundError)
    if denied or isinstance(error, GatedRepoError):
        raise PermissionError(f"{name}: {_endpoint()} denies access; {token} {purpose}") from error
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        raise FileNotFoundError(
            f"{name}: {_endpoint()} shows no such repository; check the name; if it is private, {token} {purpose}"
        ) from error
    said = " ".join(str(error).split())
    raise OSError(f"{name}: {_endpoint()} refused: {said}") from error


def _why_unreachable(error: Exception) -> str | None:
    """Return why the hub could not be asked, or None if it has answered."""
    from httpx2 import HTTPError, TimeoutException
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the hub is not asked"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return f"{_endpoint()} is out of order (status {status}); try again later" if status >= 500 else None
    if isinstance(error, TimeoutException):
        return f"{_endpoint()} does not answer; check the network, or HF_ENDPOINT"
    if isinstance(error, FileMetadataError | JSONDecodeError):
        return f"{_endpoint()} does not answer as a hub does; check HF_ENDPOINT"
    if isinstance(error, HTTPError):
        return f"{_endpoint()} cannot be reached ({error}); check the network, or HF_ENDPOINT"
    return None


@contextmanager
def _bounded() -> Iterator[None]:
    """Give each request of huggingface_hub a timeout; some of an upload have none of their own."""
    from huggingface_hub.utils import get_session

    session = get_session()
    before = session.timeout
    session.timeout = UPLOAD_TIMEOUT
    try:
        yield
    finally:
        session.timeout = before


def _endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _is_offline() -> bool:
    from huggingface_hub import constants

    return constants.is_offline_mode()
