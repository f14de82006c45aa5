"""An HTTP receiver on this machine that keeps what it is sent."""

import threading
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Listens until it is closed.

    Args:
        codes: Answers to the first requests; then 200.
    """

    def __init__(self, codes: Iterable[int] = ()) -> None:
        self.bodies: list[bytes] = []
        answers, bodies = deque(codes), self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(answers.popleft() if answers else HTTPStatus.OK)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
