"""What a run of the suite has to tell: one table, and what to do again where a promise was broken."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.faults.checks import lateness
from tests.faults.client import Sent
from tests.faults.records import StoredRun
from tests.faults.suite import Outcome

QUIET_SECONDS = 1.0
"""A fault has hit a stream that said nothing for so long around it: text comes every 40 ms."""


def recoveries(outcome: Outcome) -> list[float]:
    """Return, for each silence of a message's answer that a fault fell into, the time from the fault to its end."""
    faults = [happening.began for happening in outcome.journal.happenings]
    found: list[float] = []
    for times in _event_times(outcome):
        for before, after in itertools.pairwise(times):
            hits = [fault for fault in faults if before - QUIET_SECONDS <= fault < after]
            if after - before > QUIET_SECONDS and hits:
                found.append(after - max(before, hits[0]))
    return found


def _event_times(outcome: Outcome) -> Iterator[list[float]]:
    """Yield the times of all events of each message that did not wait behind another one."""
    for held in outcome.held:
        for _, messages in held.tabs if len(held.tabs) == 1 else ():
            for sent in messages:
                yield [moment for stream in sent.streams for moment in stream.event_times]


def _longest_silence(outcome: Outcome) -> str:
    """Say how long, and which faults began in it or lasted into it."""
    spans = [span for moments in _event_times(outcome) for span in itertools.pairwise(moments)]
    start, end = max(spans, key=lambda span: span[1] - span[0], default=(0.0, 0.0))
    faults = [it.fault for it in outcome.journal.happenings if it.began < end and (it.ended or it.began) >= start]
    return f"{end - start:.1f} s: {'; '.join(map(str, faults))}"


def percentile(values: list[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def table(outcome: Outcome) -> str:
    """Return the table."""
    runs = [run for stored in outcome.stored.values() for run in stored.runs]
    sent = [sent for held in outcome.held for sent in held.sent]
    times = recoveries(outcome)
    rows = {
        "seed": outcome.options.seed,
        "conversations, messages": f"{len(outcome.held)}, {sum(bool(one.text) for one in sent)}",
        "acknowledged": _acknowledged(sent),
        "runs": f"{len(runs)}: {_ends(runs)}",
        "attempts": _counts(f"{run.attempt}" for run in runs),
        "streams": _counts(stream.end or "left" for one in sent for stream in one.streams),
        "faults": f"{len(outcome.journal.happenings)} ({outcome.journal.missed} more found nobody to hit)",
        **_faults(outcome),
        "lost": sum(len(found.lost) for found in outcome.findings.values()),
        "doubled": sum(len(found.doubled) for found in outcome.findings.values()),
        "wrong": sum(len(found.wrong) for found in outcome.findings.values()),
        "stuck": sum(len(found.stuck) for found in outcome.findings.values()) + len(outcome.troubles),
        "recovery p50, p99": f"{percentile(times, 0.5):.1f} s, {percentile(times, 0.99):.1f} s of {len(times)}",
        "longest silent stream": _longest_silence(outcome),
        "stream after its run": f"at most {_latest(outcome):.1f} s (bound {outcome.options.stream_end_seconds:g} s)",
        "in all": f"{outcome.seconds:.0f} s",
    }
    return "".join(f"{name:<26}{value}\n" for name, value in rows.items())


def _acknowledged(sent: list[Sent]) -> str:
    told, stored = sum(bool(one.text and one.run_id) for one in sent), sum(one.seen_stored for one in sent)
    given_up = sum(bool(one.text and not one.run_id and not one.seen_stored) for one in sent)
    return f"{told}, found stored {stored}, given up {given_up}, sent again {sum(max(0, o.sends - 1) for o in sent)}"


def _ends(runs: list[StoredRun]) -> str:
    return _counts(f"{run.status} ({run.error['code']})" if run.error else run.status for run in runs)


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{value} {count}" for value, count in sorted(Counter(values).items())) or "none"


def _faults(outcome: Outcome) -> dict[str, str]:
    kinds: dict[str, list[str]] = {}
    for happening in outcome.journal.happenings:
        kinds.setdefault(happening.fault.kind, []).append(happening.fault.target)
    return {f"  {kind}": f"{len(targets)}: {_counts(targets)}" for kind, targets in sorted(kinds.items())}


def _latest(outcome: Outcome) -> float:
    """Return how long after its run's end a stream stayed open at most, while the news could be delivered."""
    runs = {run.id: run for stored in outcome.stored.values() for run in stored.runs}
    sent = [(runs.get(one.run_id or ""), one) for held in outcome.held for one in held.sent]
    late = [lateness(run, stream, outcome.journal) for run, one in sent if run for stream in one.streams]
    return max(late, default=0.0)


def write_journals(outcome: Outcome, folder: Path) -> None:
    """Write down the faults, and each failed conversation as its clients lived it."""
    lines = [f"{it.began:.3f} {it.fault}" for it in outcome.journal.happenings]
    (folder / "faults.log").write_text("\n".join(lines))
    for held in outcome.held:
        broken = list(outcome.findings[held.number].all())
        if broken:
            content = [*broken, "", *held.notes, "", *(repr(one) for one in held.sent)]
            (folder / f"conversation-{held.number}.log").write_text("\n".join(content))
