"""Where requests go, and with which rights."""

from typing import NamedTuple

from contracts.principal import (
    CHAT,
    CONVERSATIONS_READ,
    CONVERSATIONS_WRITE,
    RUNS_READ,
    TASKS,
    Service,
)


class Target(NamedTuple):
    """A service, the one scope that a route needs there, and whether the answer may be an event stream."""

    service: Service
    scope: str
    streams: bool = False


CHAT_STREAM = Target("chat-service", CHAT, streams=True)
CHAT_READ = Target("chat-service", CHAT)
CONVERSATION_READ = Target("history-service", CONVERSATIONS_READ)
CONVERSATION_WRITE = Target("history-service", CONVERSATIONS_WRITE)
RUN_READ = Target("history-service", RUNS_READ)
RUN_CANCEL = Target("chat-service", CHAT)
TASK_LIST = Target("task-tools", TASKS)
