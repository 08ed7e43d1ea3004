"""What the sweeper deletes: results of tool calls that no run can ask for again."""

from datetime import timedelta

from service_kit.database import Database
from service_kit.sweeper import SweepJob, Swept
from task_tools.settings import Settings
from task_tools.storage.calls import delete_old_calls
from task_tools.tables import RETENTION_ROLE

BATCH_ROWS = 1000


def retention_jobs(settings: Settings, database: Database) -> list[SweepJob]:
    """Return the jobs, each of which several instances may run at the same time."""
    age = timedelta(seconds=settings.tool_call_retention_seconds)

    async def delete_calls() -> Swept:
        async with database.transaction(RETENTION_ROLE) as transaction:
            rows = await delete_old_calls(transaction, age, BATCH_ROWS)
        return Swept(rows, more=rows == BATCH_ROWS)

    return [SweepJob("tool_calls", delete_calls)]
