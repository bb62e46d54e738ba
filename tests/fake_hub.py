"""A local server that speaks what huggingface_hub needs of a hub, and a second one that stores the large files.

Both listen on ports that the system chooses. As at the real one, a private repository looks like none without a token,
large files are read and written at another address, and a commit is a digest.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

TOKEN = "hf_token_of_the_tests"


@dataclass
class Repository:
    """A repository: its branches as lists of commits, and the files of each commit."""

    private: bool
    branches: dict[str, list[str]] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Add or replace files on a branch; return the commit."""
        history = self.branches.setdefault(branch, [])
        whole = {**(self.commits[history[-1]] if history else {}), **files}
        name = hashlib.sha1(repr((history, sorted(whole.items()))).encode()).hexdigest()
        self.commits[name] = whole
        history.append(name)
        return name

    def find(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision, [None])[-1]


@dataclass
class Hub:
    """What is served, and what was asked.

    Attributes:
        url: the address that HF_ENDPOINT names.
        storage: the address of the large files.
        repositories: by "owner/name".
        large: names of the files that go to the storage.
        blobs: content of the storage by SHA-256.
        fault: what each request gets instead of an answer: a status, "stall" (nothing, until `open` ends) or "page"
            (a page, as any web server has).
        gated: repositories that need more than a token.
        asked: method, path and Authorization header of each request to the hub.
        stored: the same of each request to the storage.
    """

    url: str = ""
    storage: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)
    fault: int | str | None = None
    gated: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    stored: list[tuple[str, str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


class Refused(Exception):
    """Ends a request with a status and the hub's error code."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class _Storage(_Handler):
    """Writes and reads large files by digest."""

    def do_PUT(self) -> None:
        self.hub.stored.append(("PUT", self.path, self.headers["Authorization"]))
        self.hub.blobs[self.path[1:]] = self.body()
        self.answer(200)

    def do_GET(self) -> None:
        self.hub.stored.append(("GET", self.path, self.headers["Authorization"]))
        self.answer(200, self.hub.blobs[self.path[1:]])


class _Endpoint(_Handler):
    def do_GET(self) -> None:
        self.serve()

    def do_HEAD(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        hub = self.hub
        if self.path == "/api/agent-harnesses":  # huggingface_hub asks this once a process, for its User-Agent
            return self.answer(404)
        hub.asked.append((self.command, self.path, self.headers["Authorization"]))
        if hub.fault == "stall":
            hub.closing.wait()
        elif hub.fault == "page":
            self.answer(200, b"<html>welcome</html>", Content_Type="text/html")
        elif isinstance(hub.fault, int):
            self.answer(hub.fault)
        else:
            try:
                self.route([unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")])
            except Refused as refused:
                status, code = refused.args
                self.answer(status, X_Error_Code=code)

    @property
    def has_token(self) -> bool:
        return self.headers["Authorization"] == f"Bearer {TOKEN}"

    def route(self, path: list[str]) -> None:
        if path == ["api", "validate-yaml"]:
            self.body()
            return self.json({"errors": [], "warnings": []})
        if path == ["api", "repos", "create"]:
            return self.create(json.loads(self.body()))
        if path[0] == "api":
            return self.api("/".join(path[2:4]), *path[4:])
        if path[2:3] == ["resolve"]:
            return self.resolve("/".join(path[:2]), path[3], "/".join(path[4:]))
        return self.batch()

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def repository(self, name: str) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self.has_token):
            raise Refused(404 if self.has_token else 401, "RepoNotFound")
        if name in self.hub.gated:
            raise Refused(403, "GatedRepo")
        return found

    def revision(self, repository: Repository, name: str) -> str:
        commit = repository.find(name)
        if commit is None:
            raise Refused(404, "RevisionNotFound")
        return commit

    def check_may_write(self) -> None:
        if not self.has_token:
            raise Refused(401, "")

    def create(self, wanted: dict[str, Any]) -> None:
        self.check_may_write()
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.hub.repositories:
            return self.json({"url": f"{self.hub.url}/{name}"}, 409)
        self.hub.repositories[name] = Repository(wanted.get("visibility") == "private")
        self.hub.repositories[name].commit("main", {".gitattributes": b""})
        self.json({"url": f"{self.hub.url}/{name}"})

    def api(self, name: str, verb: str = "revision", revision: str = "main") -> None:
        repository = self.repository(name)
        if verb == "revision":
            commit = self.revision(repository, revision)
            files = [{"rfilename": path} for path in repository.commits[commit]]
            return self.json({"id": name, "sha": commit, "private": repository.private, "siblings": files})
        self.check_may_write()
        if verb == "branch":
            if revision in repository.branches:
                raise Refused(409, "")
            repository.branches[revision] = list(repository.branches["main"])
            return self.json({})
        self.revision(repository, revision)
        if verb == "preupload":
            wanted = [file["path"] for file in json.loads(self.body())["files"]]
            modes = {path: "lfs" if path in self.hub.large else "regular" for path in wanted}
            return self.json(
                {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]}
            )
        assert verb == "commit"
        lines = [json.loads(line) for line in self.body().splitlines()]
        files = {of["path"]: base64.b64decode(of["content"]) for of in values(lines, "file")}
        files |= {of["path"]: self.hub.blobs[of["oid"]] for of in values(lines, "lfsFile")}
        commit = repository.commit(revision, files)
        return self.json({"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit})

    def batch(self) -> None:
        """Say where the large files go."""
        self.check_may_write()
        objects = [
            {**wanted, "actions": {"upload": {"href": f"{self.hub.storage}/{wanted['oid']}"}}}
            for wanted in json.loads(self.body())["objects"]
        ]
        self.json({"transfer": "basic", "objects": [{k: o[k] for k in ("oid", "size", "actions")} for o in objects]})

    def resolve(self, name: str, revision: str, path: str) -> None:
        repository = self.repository(name)
        commit = self.revision(repository, revision)
        content = repository.commits[commit].get(path)
        if content is None:
            raise Refused(404, "EntryNotFound")
        digest = hashlib.sha256(content).hexdigest()
        if path not in self.hub.large:
            return self.answer(200, content, X_Repo_Commit=commit, ETag=f'"{digest}"')
        linked = {"X_Linked_Etag": f'"{digest}"', "X_Linked_Size": str(len(content))}
        return self.answer(302, X_Repo_Commit=commit, Location=f"{self.hub.storage}/{digest}", **linked)


def values(lines: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [line["value"] for line in lines if line["key"] == key]


@contextmanager
def serve_hub() -> Iterator[Hub]:
    hub = Hub()
    with ExitStack() as stack:
        for kind in (_Endpoint, _Storage):
            handler = type(kind.__name__, (kind,), {"hub": hub})
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            address = f"http://127.0.0.1:{server.server_port}"
            hub.url, hub.storage = (address, hub.storage) if kind is _Endpoint else (hub.url, address)
        stack.callback(hub.closing.set)
        yield hub


def use_hub(patch: pytest.MonkeyPatch, url: str, cache: object, *, token: str | None = None) -> None:
    """Make huggingface_hub of this process ask `url`, as HF_ENDPOINT, HF_HUB_CACHE and HF_TOKEN do at its import."""
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(constants, "HF_TOKEN_PATH", f"{cache}/no-token")
    patch.setattr(constants, "AGENT_HARNESSES_PATH", f"{cache}/agents")
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its protocol has no fake
    if token is None:
        patch.delenv("HF_TOKEN", raising=False)
    else:
        patch.setenv("HF_TOKEN", token)
