"""What must hold of one conversation after all faults: each broken promise becomes a sentence. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.cases import answer_to, tasks_of
from tests.faults.client import Sent, Stream
from tests.faults.faults import Journal
from tests.faults.records import Stored, StoredRun
from tests.faults.view import Json, View

LEGITIMATE_FAILURES = frozenset({"max_attempts"})
"""Why a run may fail, if its worker is killed often enough."""

UNKNOWN_OUTCOME = "whether"
"""In the output of a failed tool call: that it is not known whether it had an effect."""


@dataclass
class Findings:
    """Broken promises, by kind."""

    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    stuck: list[str] = field(default_factory=list[str])

    def all(self) -> Iterator[str]:
        """Yield every sentence, with its kind."""
        for kind in ("lost", "doubled", "wrong", "stuck"):
            yield from (f"{kind}: {what}" for what in getattr(self, kind))


@dataclass
class Held:
    """A conversation as its clients held it. Each view belongs to a tab, and so do the messages sent there."""

    number: int
    user_id: str
    tabs: list[tuple[View, list[Sent]]] = field(default_factory=list[tuple[View, list[Sent]]])
    snapshot: list[Json] | None = None
    """The thread as a reload shows it at the very end."""
    notes: list[str] = field(default_factory=list[str])
    trouble: str | None = None
    """Why it could not be held to its end."""

    @property
    def sent(self) -> list[Sent]:
        """All that was sent or followed."""
        return [sent for _, messages in self.tabs for sent in messages]


def check(held: Held, stored: Stored, journal: Journal, end_seconds: float) -> Findings:
    """Compare what the clients know with what is stored."""
    found = Findings()
    if held.trouble:
        found.stuck.append(held.trouble)
    runs = {run.id: run for run in stored.runs}
    _check_messages(held, stored, runs, found)
    for run in stored.runs:
        _check_run(run, found)
    _check_order(stored, found)
    _check_tasks(stored, found)
    for view, messages in held.tabs:
        _check_view(view, messages, held, stored, runs, found)
        # Once Redis has lost a run's log, a dead attempt's text is withdrawn at the run's end only.
        found.wrong.extend(what for when, what in view.besides if when < journal.first_loss_of_redis)
    for sent in held.sent:
        found.wrong.extend(sent.wrongs)
        _check_streams(sent, runs, journal, end_seconds, found)
    return found


def _check_messages(held: Held, stored: Stored, runs: dict[str, StoredRun], found: Findings) -> None:
    """Every acknowledged message is there once; of the others at most as many as were sent."""
    texts = Counter(message.content for message in stored.messages if message.role == "user")
    sends = Counter[str]()
    for sent in held.sent:
        sends[sent.text] += sent.sends
        run = runs.get(sent.run_id or "")
        if sent.run_id and run is None:
            found.lost.append(f"{sent.run_id} was acknowledged and is not there")
        elif run and sent.text and (run.question is None or run.question.content != sent.text):
            found.lost.append(f"{run.id} does not answer {sent.text!r}")
        if sent.seen_stored and not texts[sent.text]:
            found.lost.append(f"{sent.text!r} was stored and is gone")
    found.doubled.extend(f"{text!r} is stored {count} times" for text, count in texts.items() if count > sends[text])
    answered = Counter(run.question.id for run in stored.runs if run.question)
    found.doubled.extend(f"{item_id} has {count} runs" for item_id, count in answered.items() if count > 1)


def _check_run(run: StoredRun, found: Findings) -> None:
    """A run has ended, and not for a reason that no fault excuses; no tool call is left open."""
    if run.finished_at is None:
        found.stuck.append(f"{run.id} is {run.status}")
        return
    if run.error and run.error["code"] not in LEGITIMATE_FAILURES:
        found.wrong.append(f"{run.id} has failed: {run.error['code']}")
    if any(call["status"] == "in_progress" for call in run.calls):
        found.wrong.append(f"{run.id} has ended with a tool call in progress")
    _check_answer(run, run.question.content if run.question else "", found)


def _check_answer(run: StoredRun, question: str, found: Findings) -> None:
    """The answer is what it must be, or a beginning of that, marked so, if the run was stopped."""
    texts = [item for item in run.items if item.role == "assistant" and not item.tool_calls]
    if len(texts) > 1:
        found.doubled.append(f"{run.id} has {len(texts)} texts")
    failed = [call["output"] or "" for call in run.calls if call["status"] == "failed"]
    wanted, asked = answer_to(question, failed), [call["arguments"].get("title") for call in run.calls]
    is_whole = run.status == "completed"
    fits = [text.content == wanted if is_whole else wanted.startswith(text.content) for text in texts]
    if not all(fits) or (is_whole and not texts):
        found.wrong.append(f"{run.id} ({question}, {run.status}) says {[text.content[-60:] for text in texts]}")
    if asked != tasks_of(question)[: None if is_whole else len(asked)]:
        found.wrong.append(f"{run.id} ({question}, {run.status}) called for {asked}")
    for text in texts:
        marks = {"completed"} if is_whole else {"incomplete"} if text.content != wanted else {"completed", "incomplete"}
        if text.status not in marks:
            found.wrong.append(f"{run.id} ({run.status}): {text.id} is marked {text.status}")


def _check_order(stored: Stored, found: Findings) -> None:
    """The runs of a conversation follow each other in the order of their messages."""
    last: dict[str, StoredRun] = {}
    for run in stored.runs:
        before = last.get(run.conversation_id)
        last[run.conversation_id] = run
        if before is None or not (before.question and run.question):
            continue
        if run.question.position <= before.question.position:
            found.wrong.append(f"{run.id} was queued behind {before.id}, whose message is newer")
        if run.started_at and before.finished_at and run.started_at < before.finished_at:
            found.wrong.append(f"{run.id} began before {before.id} had ended")


def _check_tasks(stored: Stored, found: Findings) -> None:
    """Each recorded call acted once; one whose outcome is not known, at most once."""
    certain, possible = Counter[str](), Counter[str]()
    for call in (call for run in stored.runs for call in run.calls):
        if call["status"] == "completed":
            certain[call["arguments"]["title"]] += 1
        elif UNKNOWN_OUTCOME in (call["output"] or ""):
            possible[call["arguments"]["title"]] += 1
    found.lost.extend(f"task {title!r}: {count} missing" for title, count in (certain - stored.tasks).items())
    too_many = stored.tasks - certain - possible
    found.doubled.extend(f"task {title!r}: {count} too many" for title, count in too_many.items())


def _check_view(
    view: View, messages: list[Sent], held: Held, stored: Stored, runs: dict[str, StoredRun], found: Findings
) -> None:
    """What the client followed is what a reload shows, item by item and in order."""
    found.wrong.extend(view.wrongs)
    own = {item for sent in messages if sent.run_id in runs for item in runs[sent.run_id or ""].own_ids}
    known = {message.id for message in stored.messages}
    shown = [item for item in view.items.values() if item["id"] in own or item["id"] not in known]
    fresh = [item for item in held.snapshot or [] if item["id"] in own]
    if shown != fresh:
        differing = [item["id"] for item in shown if item not in fresh] + [i["id"] for i in fresh if i not in shown]
        kind = found.lost if len(shown) < len(fresh) else found.wrong
        kind.append(f"the client shows other items than a reload: {differing or 'another order'}")


def _check_streams(
    sent: Sent, runs: dict[str, StoredRun], journal: Journal, end_seconds: float, found: Findings
) -> None:
    run = runs.get(sent.run_id or "")
    for late in [lateness(run, stream, journal) for stream in sent.streams] if run else ():
        if late > end_seconds:
            found.stuck.append(f"a stream of {sent.run_id} ended {late:.1f} s after its run")


def lateness(run: StoredRun, stream: Stream, journal: Journal) -> float:
    """Return how long the stream was open after its run's end, without the time in which nothing can be delivered."""
    if run.finished_at is None:
        return 0.0
    since = max(stream.opened, run.finished_at.timestamp())
    return max(0.0, stream.ended - since - journal.undeliverable(since, stream.ended))
