"""The relay of a process: one hub, one reader per open stream."""

from dataclasses import dataclass

from chat_service.relay.hub import Hub
from chat_service.relay.limits import RelayLimits
from chat_service.relay.log import EventLog
from chat_service.relay.reader import RunReader
from chat_service.relay.record import RunRecord
from chat_service.relay.watch import RunWatch
from contracts.frames import LOG_START, Cursor
from contracts.runs import Run
from history_client import UserHistory


@dataclass(frozen=True)
class Relay:
    """Makes readers."""

    hub: Hub
    event_log: EventLog
    watch: RunWatch
    limits: RelayLimits

    def reader(
        self, history: UserHistory, run: Run, *, cursor: Cursor = LOG_START, run_frames: bool = False
    ) -> RunReader:
        """Make a reader of a run that `history`'s user may see; see `RunReader`."""
        return RunReader(
            RunRecord(history, run, self.watch),
            hub=self.hub,
            event_log=self.event_log,
            limits=self.limits,
            cursor=cursor,
            run_frames=run_frames,
        )
