"""The fault suite in short: a fixed seed's conversations, seven faults, and a lease that freezes outlast."""

from pathlib import Path

from tests.faults.options import Options
from tests.faults.report import table
from tests.faults.schedule import Fault
from tests.faults.suite import run_suite

SHORT = Options(runs=20, streams=8, seed=338, lease_seconds=3.0, most_turns=3, longest_text=240)
FAULTS = (
    Fault(2.2, "kill", "agent-worker-1", 0.0, 0.0),
    Fault(6.0, "freeze", "agent-worker-2", 4.0, 0.0),  # past its lease: it comes back as a zombie
    Fault(2.0, "cut", "chat-service→redis", 0.0, 1.0),
    Fault(1.0, "cut", "gateway→chat-service", 0.0, 1.0),
    Fault(1.0, "flush", "redis", 0.0, 0.0),
    Fault(1.0, "kill", "postgres", 0.0, 0.0),
    Fault(1.0, "kill", "chat-service", 0.0, 0.0),
)
"""The second one comes when runs of the killed worker have been taken over, with their texts begun anew."""


async def test_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    outcome = await run_suite(SHORT, tmp_path, FAULTS)

    told = "\n".join([table(outcome), *outcome.broken])
    assert not outcome.broken, told
    assert len(outcome.journal.happenings) == len(FAULTS), told
    runs = [run for stored in outcome.stored.values() for run in stored.runs]
    assert any(run.attempt > 1 and run.status == "completed" for run in runs), f"no run was taken over\n{told}"
