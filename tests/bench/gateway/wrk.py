"""Load by wrk: requests of many users in turn, over connections that are kept, each used by one request at a time."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.ports import LOOPBACK
from tests.bench.machine import OTHER_CORE, pinned
from tests.bench.processor_time import cpu_seconds

_SCRIPT = """local requests, number = {}, 0
%s
request = function()
    number = number %% #requests + 1
    return requests[number]
end
done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format("{\\"requests\\": %%d, \\"microseconds\\": %%d, \\"refused\\": %%d, \\"broken\\": %%d, ",
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
    io.write(string.format("\\"p50\\": %%d, \\"p99\\": %%d}\\n", latency:percentile(50), latency:percentile(99)))
end
"""


class FailedRequestsError(Exception):
    """Requests were not answered with success."""


@dataclass(frozen=True)
class Measured:
    """One figure: requests per second, the server's processor time for each (µs), latencies (ms)."""

    per_second: float
    cpu_micros: float
    busy: float
    """Share of the time that the server's core worked for it."""
    p50: float
    p99: float

    @property
    def per_cpu_second(self) -> float:
        """Requests in each second of the server's processor time: what it could do with a core for itself."""
        return 1e6 / self.cpu_micros


def write_script(path: Path, route: str, tokens: Mapping[str, str]) -> Path:
    """Write a script that asks for a route of each user in turn; `{user_id}` in it is theirs."""
    requests = (
        f'requests[#requests + 1] = wrk.format("GET", "{route.format(user_id=user_id)}", '
        f'{{["Host"] = "localhost", ["Authorization"] = "Bearer {token}"}})'
        for user_id, token in tokens.items()
    )
    path.write_text(_SCRIPT % "\n".join(requests))
    return path


async def put_load(program: Path, script: Path, port: int, pid: int, *, connections: int, seconds: float) -> Measured:
    """Send requests for some time to the server with this port and pid. Raises FailedRequestsError."""
    options = ("-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s", "--timeout", "10s")
    command = pinned(OTHER_CORE, str(program), *options, "-s", str(script), f"http://{LOOPBACK}:{port}")
    before = cpu_seconds(pid)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    cpu = cpu_seconds(pid) - before
    last = output.decode().rstrip().rpartition("\n")[2]
    if process.returncode or not last.startswith("{"):
        raise FailedRequestsError((output + errors).decode())
    told = json.loads(last)
    if told["refused"] or told["broken"] or not told["requests"]:
        raise FailedRequestsError(last)
    took = told["microseconds"] / 1e6
    return Measured(
        told["requests"] / took, cpu / told["requests"] * 1e6, cpu / took, told["p50"] / 1000, told["p99"] / 1000
    )
