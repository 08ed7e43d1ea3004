"""The plans of what was measured, on the largest database."""

from pydantic import SecretStr

from contracts.conversations import ItemPut
from contracts.pages import MAX_PAGE_LIMIT
from history_service.domain import item_of, max_attempts_error
from history_service.services.endings import MAX_ENDED
from history_service.settings import Settings
from history_service.storage.leases import LeaseStore
from history_service.storage.roles import DISPATCH_ROLE, USER_ROLE
from history_service.storage.user import UserTransaction
from service_kit.database import open_database
from tests.bench.history.acts import PAGE, WRITER
from tests.bench.history.databases import BenchDatabase
from tests.bench.history.dataset import COMMON_WORD, RARE_WORD
from tests.support.history import assistant_message
from tests.support.plans import Explanations, Plan, explain_search_function, explaining

NamedPlans = dict[str, list[Plan]]


async def measured_plans(database: BenchDatabase) -> tuple[NamedPlans, list[str]]:
    """Explain each statement behind the acts, as the service's roles; returns the plans and what is wrong with them."""
    settings = Settings(database_url=SecretStr(database.url))
    candidates = settings.search_candidates
    data, plans = database.dataset, NamedPlans()
    conversation = data.conversations // 2
    user, long_owner = data.user_of(conversation), data.user_of(0)
    async with open_database(settings) as pool:
        for owner, number, suffix in ((user, conversation, ""), (long_owner, 0, " of 5,000")):
            async with explaining(pool, USER_ROLE, owner) as explained:
                messages = UserTransaction(explained.transaction, owner).messages
                identifier = data.conversation_id(number)
                page = await messages.list_items(identifier, PAGE, None, "desc", hidden=False)
                plans[f"newest page{suffix}"] = _taken(explained)
                await messages.list_items(identifier, PAGE, page.after, "desc", hidden=False)
                plans[f"next page{suffix}"] = _taken(explained)
        async with explaining(pool, USER_ROLE, user) as explained:
            history = UserTransaction(explained.transaction, user)
            await history.conversations.list(PAGE, None, "desc")
            plans["conversations"] = _taken(explained)
            for kind, word in (("rare", RARE_WORD), ("common", COMMON_WORD)):
                await history.search.find(word, PAGE, None, candidates)
                plans[f"search, {kind} word"] = _taken(explained)
        async with explaining(pool, USER_ROLE, WRITER) as explained:
            item = assistant_message("thr_bench_0", "An answer")
            await UserTransaction(explained.transaction, WRITER).messages.append(
                "thr_bench_0", item_of(ItemPut(payload=item), "thr_bench_0")
            )
            plans["append"] = _taken(explained)
        async with explaining(pool, DISPATCH_ROLE, None) as explained:
            leases = LeaseStore(explained.transaction)
            attempts = settings.run_max_attempts
            await leases.end_abandoned(attempts, max_attempts_error(attempts), MAX_ENDED)
            await leases.claim("bench", settings.run_lease, attempts, 1)
            plans["claim"] = _taken(explained)
    for kind, word in (("rare", RARE_WORD), ("common", COMMON_WORD)):
        plan = await explain_search_function(database.superuser_url, user, word, candidates)
        plans[f"search, {kind} word, inside"] = [plan]
    # A search orders what it has found: at most so many candidates.
    limits = {act: 2 * candidates if act.startswith("search") else MAX_PAGE_LIMIT for act in plans}
    faults = [f"{act}: {fault}" for act, made in plans.items() for plan in made for fault in plan.faults(limits[act])]
    return plans, faults


def _taken(explained: Explanations) -> list[Plan]:
    taken = list(explained.plans)
    explained.plans.clear()
    return taken
