"""An S3 server on loopback that counts requests, and waits or refuses when it is told to."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

# No file that fastcam writes and no line that it prints may hold it.
SECRET = "testing-secret-5e1f"
Answer = tuple[int, str]

_TEXTS = {
    403: "403 Forbidden",
    400: "400 Bad Request",
    404: "404 Not Found",
    503: "503 Slow Down",
}


class ObjectServer:
    """moto's S3 at ``url``.

    Attributes:
        requests: method and path with query of each request since it was emptied last.
        latency: seconds before each answer.
        silent: whether connections are closed without an answer.
        fault: asked with method and path of each request, gives None where moto answers, else the
            status and the S3 error code of the answer.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"  # connections are kept, as S3 keeps them

            def log(self, *_: object) -> None:
                """Nothing."""

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._application, threaded=True, request_handler=Handler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.reset()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Nothing counted, no delay and no faults."""
        self.silent = False
        self.requests: list[tuple[str, str]] = []
        self.latency = 0.0
        self.fault: Callable[[str, str], Answer | None] = lambda method, path: None

    def environment(self) -> dict[str, str]:
        """What tells a process where it is, and who asks."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        """Close it: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()

    def _application(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["RAW_URI"]
        self.requests.append((method, path))
        time.sleep(self.latency)
        if self.silent:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        answer = self.fault(method, path)
        if answer is None:
            content: Iterable[bytes] = self._moto(environ, start_response)
            return content
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = answer
        body = b"" if method == "HEAD" else _error(code)
        start_response(
            _TEXTS[status],
            [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))],
        )
        return [body]


def _error(code: str) -> bytes:
    text = f"<Error><Code>{code}</Code><Message>as the test has it</Message></Error>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()


def without_credentials(environment: dict[str, str]) -> dict[str, str]:
    """``os.environ`` with ``environment``, and no AWS credentials anywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {k: v for k, v in environment.items() if "ACCESS_KEY" not in k}
