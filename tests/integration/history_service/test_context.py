"""What the model gets to see in a run (CONTEXT_MESSAGES is 3 in these tests)."""

from contracts.ids import new_id
from contracts.runs import Claim
from history_client import UserHistory, WorkerHistoryClient
from tests.integration.history_service.test_runs import claimed, expire_lease
from tests.support.history import assistant_message, finish, item, items_put, run_create


def said(claim: Claim) -> list[str]:
    return [message.content for message in claim.context]


async def answer(worker: WorkerHistoryClient, claim: Claim, *texts: str) -> None:
    items = [assistant_message(claim.conversation.id, text) for text in texts]
    await worker.finish_run(claim.run.id, finish(claim.run.attempt, *items), token=claim.token)


async def test_context_is_the_last_messages_and_no_hidden_ones(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, "q1", new=True))
    await answer(worker, await claimed(worker), "a1")
    hidden = item(conversation_id, "hidden_context_item", content="secret")
    await alice.put_item(conversation_id, hidden["id"], hidden)
    await alice.create_run(conversation_id, run_create(conversation_id, "q2"))
    assert said(await claimed(worker)) == ["q1", "a1", "q2"]


async def test_context_is_cut_to_its_length(alice: UserHistory, worker: WorkerHistoryClient) -> None:
    conversation_id = new_id("thr")
    claims: list[Claim] = []
    for number in range(3):
        await alice.create_run(conversation_id, run_create(conversation_id, f"q{number}", new=True))
        claims.append(await claimed(worker))
        await answer(worker, claims[-1], f"a{number}")
    assert said(claims[-1]) == ["q1", "a1", "q2"]


async def test_a_retry_sees_all_its_own_items_besides(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    for number in range(3):
        await alice.create_run(conversation_id, run_create(conversation_id, f"q{number}", new=True))
        if number < 2:
            await answer(worker, await claimed(worker), f"a{number}")
    first = await claimed(worker)
    own = [assistant_message(conversation_id, f"step {number}") for number in range(5)]
    await worker.put_run_items(first.run.id, items_put(1, *own), token=first.token)
    await expire_lease(admin_database_url, first.run.id)
    assert said(await claimed(worker)) == ["q1", "a1", "q2", *(f"step {number}" for number in range(5))]


async def test_a_question_asked_during_an_answer_comes_after_it(
    alice: UserHistory, worker: WorkerHistoryClient, admin_database_url: str
) -> None:
    conversation_id = new_id("thr")
    await alice.create_run(conversation_id, run_create(conversation_id, "q1", new=True))
    first = await claimed(worker)
    await alice.create_run(conversation_id, run_create(conversation_id, "q2"))
    half = assistant_message(conversation_id, "half of a1")
    await worker.put_run_items(first.run.id, items_put(1, half), token=first.token)
    await expire_lease(admin_database_url, first.run.id)

    retried = await claimed(worker)
    assert said(retried) == ["q1", "half of a1"], "the later question does not leak into the running answer"
    await answer(worker, retried, "rest of a1")
    assert said(await claimed(worker)) == ["half of a1", "rest of a1", "q2"]


async def test_many_later_questions_do_not_crowd_out_the_earlier_ones(
    alice: UserHistory, worker: WorkerHistoryClient
) -> None:
    conversation_id = new_id("thr")
    for number in range(6):
        await alice.create_run(conversation_id, run_create(conversation_id, f"q{number}", new=True))
    assert said(await claimed(worker)) == ["q0"]
