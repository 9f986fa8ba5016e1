"""A listener of a few lines, over real HTTP: it answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]


class Service:
    """Answers by method and path, each a list that is used up but for its last; requests with their bodies."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        self.answers = answers
        self.requests: list[tuple[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.port = 0

    def answer(self, request: str, body: Any, token: str | None) -> Answer:
        """The next answer to a request such as `GET /v1/deliveries/7`."""
        self.requests.append((request, body))
        self.tokens.add(token)
        waiting = self.answers.get(request, [(404, {"error": "NotFound", "message": f"no answer for {request}"})])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = service.answer(f"{self.command} {self.path}", body, self.headers.get("Authorization"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = handle_one  # noqa: N815 - the names that http.server looks for

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
