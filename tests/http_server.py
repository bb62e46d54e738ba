"""A local HTTP server that serves bytes, and misbehaves on demand."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What is served, how, and what was asked.

    Attributes:
        files: content by path, without the slash in front.
        url: where, with a slash at the end.
        faults: what to do wrong, one fault for each of the next requests: a status to answer with, "drop" (hang up
            without an answer), "cut" (hang up in the middle), "short" and "long" (a Content-Length that is one off),
            "endless" (goes on after the file), "stall" (a few bytes, then nothing until the client leaves),
            "wrong range" (another part than the one asked for), "piece" (less of it than asked for), "fine" (nothing).
        ranges: whether parts of files are served.
        headers: further ones of each answer with a file.
        requests: path and Range header of each request.
    """

    files: dict[str, bytes]
    url: str = ""
    faults: list[int | str] = field(default_factory=list)
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Server]:
    served = Server(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.close_connection = True
            path, asked = self.path[1:], self.headers["Range"]
            served.requests.append((path, asked))
            fault = served.faults.pop(0) if served.faults else "fine"
            if fault == "drop":
                return
            if path not in served.files and fault == "fine":
                fault = 404
            if isinstance(fault, int):
                self.send_response(fault)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"oops")
                return
            self.send_file(served.files[path], asked, fault)

        def send_file(self, content: bytes, asked: str | None, fault: str) -> None:
            start, total = 0, len(content)
            match = re.fullmatch(r"bytes=(\d+)-", asked or "")
            if match and served.ranges:
                start = int(match[1])
                if start >= total:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{total}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start -= fault == "wrong range"
                end = (start + total) // 2 if fault == "piece" else total
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
            else:
                end = total
                self.send_response(200)
            body = content[start:end]
            if fault != "endless":
                self.send_header("Content-Length", str(len(body) + {"short": -1, "long": 1}.get(fault, 0)))
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if fault == "endless":
                self.send_without_end(body)
            elif fault == "stall":
                self.wfile.write(body[:5])
                self.rfile.peek(1)
            else:
                self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

        def send_without_end(self, body: bytes) -> None:
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
