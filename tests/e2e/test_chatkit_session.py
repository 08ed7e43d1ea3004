"""An embedded page: a client secret posts a message and reads its stream, and opens nothing else."""

from tests.e2e.test_refusals import problem
from tests.support.chatkit import ChatKitClient
from tests.support.system import System


async def test_a_session_chats_and_lists_nothing(system: System, user_id: str) -> None:
    async with system.client(user_id) as owner, system.client(None) as page:
        created = (await owner.post(f"/api/{user_id}/chatkit/session")).raise_for_status().json()
        page.headers["Authorization"] = f"Bearer {created['client_secret']}"
        async with ChatKitClient(page, user_id).say("Add a task to buy milk") as answer:
            await answer.to_the_end()
        assert answer.badges() == ["Running", "Success"]
        assert (await page.get(f"/api/{user_id}/runs/{answer.run_id}")).json()["status"] == "completed"
        followed = await page.get(f"/api/{user_id}/runs/{answer.run_id}/events")
        assert "run.completed" in followed.text
        for path in ("conversations", f"conversations/{answer.thread_id}/messages", "tasks"):
            problem(await page.get(f"/api/{user_id}/{path}"), 403, "session_not_allowed")
        problem(await page.post(f"/api/{user_id}/chatkit/session"), 403, "session_not_allowed")


async def test_a_session_for_one_thread_stays_there(system: System, user_id: str) -> None:
    async with system.client(user_id) as owner, system.client(None) as page:
        chat = ChatKitClient(owner, user_id)
        runs: dict[str, str] = {}
        for text in ("What is on my list?", "Hello"):
            async with chat.say(text) as answer:
                await answer.to_the_end()
            runs[answer.thread_id] = answer.run_id
        (own, own_run), (other, other_run) = runs.items()
        created = (await owner.post(f"/api/{user_id}/chatkit/session", json={"thread_id": own})).json()
        page.headers["Authorization"] = f"Bearer {created['client_secret']}"
        kept = ChatKitClient(page, user_id)
        async with kept.say("Add a task to buy bread", own) as answer:
            await answer.to_the_end()
        assert answer.badges() == ["Running", "Success"]
        assert [thread["id"] for thread in (await kept.ask("threads.list"))["data"]] == [own]
        run = (await page.get(f"/api/{user_id}/runs/{own_run}")).json()
        assert run == (await owner.get(f"/api/{user_id}/runs/{own_run}")).json()
        for refused in (
            await page.post(created["chatkit_url"], json={"type": "items.list", "params": {"thread_id": other}}),
            await page.get(f"/api/{user_id}/runs/{other_run}"),
            await page.get(f"/api/{user_id}/runs/{other_run}/events"),
            await page.post(f"/api/{user_id}/runs/{other_run}/cancel"),
        ):
            problem(refused, 403, "thread_not_allowed")


async def test_a_revoked_session_is_refused(system: System, user_id: str) -> None:
    async with system.client(user_id) as owner, system.client(None) as page:
        created = (await owner.post(f"/api/{user_id}/chatkit/session")).json()
        revoked = await owner.delete(f"/api/{user_id}/chatkit/session/{created['session_id']}")
        assert revoked.status_code == 204
        page.headers["Authorization"] = f"Bearer {created['client_secret']}"
        problem(await page.post(created["chatkit_url"]), 401, "session_revoked")
