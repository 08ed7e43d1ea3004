"""A service in miniature, for tests of the launcher: answers every GET with 200 on the port in an environment variable.

`python stand_in_service.py <name of the variable>`. A file `stubborn` in the current folder makes it ignore SIGTERM; a
file `with-child` makes it start a process of its own, whose pid it prints.
"""

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer 200 to any path."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def main(port_setting: str) -> None:
    """Serve until ended."""
    if Path("stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if Path("with-child").exists():
        child = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(600)"))
        sys.stdout.write(f"child {child.pid}\n")
    port = int(os.environ[port_setting])  # noqa: TID251 - a program of its own
    sys.stdout.write(f"serving on {port}\n")
    sys.stdout.flush()
    ThreadingHTTPServer(("127.0.0.1", port), _Health).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
