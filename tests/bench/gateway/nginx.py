"""nginx: a service that answers at once, and a proxy in front of it. Each is one process without a master."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from launcher.ports import LOOPBACK
from tests.bench.machine import pinned
from tests.support.ports import free_port
from tests.support.servers import run_process

HEALTH_PATH = "/healthz"

_MAIN = Template("""daemon off;
master_process off;
pid $folder/pid;
error_log $folder/error.log crit;
events { worker_connections 8192; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    $upstream
    server {
        listen $host:$port backlog=4096;
        default_type application/json;
        location = $health { return 200; }
        $locations
    }
}
""")

_PROXY_UPSTREAM = Template("upstream service { server $address; keepalive 256; keepalive_requests 1000000000; }")

_PROXY_LOCATION = """location / {
    proxy_pass http://service;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    proxy_read_timeout 600s;
}"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    port: int
    pid: int


def answer_location(path: str, body: str) -> str:
    """Return the configuration that answers a path with a JSON text."""
    return f"location {path} {{ return 200 '{body}'; }}"


@asynccontextmanager
async def running_nginx(
    program: Path, folder: Path, *, core: int, locations: str, upstream: str = ""
) -> AsyncGenerator[Nginx]:
    """Run an nginx with these locations."""
    port = free_port()
    config = _configure(folder, port=port, locations=locations, upstream=upstream)
    async with run_process(
        pinned(core, str(program), "-p", str(folder), "-c", str(config)),
        log=folder / "output.log",
        ready_url=f"http://{LOOPBACK}:{port}{HEALTH_PATH}",
    ) as running:
        yield Nginx(port, running.process.pid)


def _configure(folder: Path, *, port: int, locations: str, upstream: str) -> Path:
    folder.mkdir()
    config = folder / "nginx.conf"
    text = _MAIN.substitute(
        folder=folder, upstream=upstream, host=LOOPBACK, port=port, health=HEALTH_PATH, locations=locations
    )
    config.write_text(text)
    return config


@asynccontextmanager
async def running_proxy(program: Path, folder: Path, *, core: int, service_port: int) -> AsyncGenerator[Nginx]:
    """Run an nginx that forwards everything to a service, over connections that it keeps, unbuffered."""
    upstream = _PROXY_UPSTREAM.substitute(address=f"{LOOPBACK}:{service_port}")
    async with running_nginx(program, folder, core=core, locations=_PROXY_LOCATION, upstream=upstream) as nginx:
        yield nginx
