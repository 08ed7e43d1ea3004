"""The example of docs/chatkit-sessions.md, run as it stands there, by Node."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

from tests.integration.gateway.conftest import USER, StartGateway, secret_token

DOCUMENT = Path(__file__).parents[3] / "docs" / "chatkit-sessions.md"

PAGE = """
const [gateway, userId, token] = process.argv.slice(1);
const domainKey = "local";
let options;
const document = { querySelector: () => ({ setOptions: (given) => (options = given) }) };
const authorized = { authorization: `Bearer ${token}` };
const sessions = `${gateway}/api/${userId}/chatkit/session`;
const made = [];
const send = globalThis.fetch;
// The embedding site's own server, in miniature.
globalThis.fetch = async (input, init) => {
  if (input !== "/chat-session") return send(input, init);
  const response = await send(sessions, { method: "POST", headers: authorized });
  made.push((await response.clone().json()).session_id);
  return response;
};
"""
STORY = """
const { url, fetch: ask } = options.api;
const chat = async () => (await ask(url, { method: "POST", body: "{}" })).status;
const told = { first: await Promise.all([chat(), chat(), chat()]), made: made.length };
await send(`${sessions}/${made[0]}`, { method: "DELETE", headers: authorized });
told.afterRevocation = await Promise.all([chat(), chat(), chat()]);
told.madeThen = made.length;
const elsewhere = await ask(`${gateway}/api/bob/chatkit`, { method: "POST" });
told.elsewhere = elsewhere.status;
told.madeAtLast = made.length;
console.log(JSON.stringify(told));
"""


async def test_the_pages_example_fetches_another_secret_when_one_is_refused(start_gateway: StartGateway) -> None:
    (example,) = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    async with start_gateway(session_revocation_seconds=0) as client:
        arguments = ("node", "--input-type=module", "-e", PAGE + example + STORY)
        program = await asyncio.create_subprocess_exec(
            *arguments, str(client.base_url).rstrip("/"), USER, secret_token(), stdout=subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(program.communicate(), 30)
    assert json.loads(output) == {
        "first": [200, 200, 200],
        "made": 1,
        "afterRevocation": [200, 200, 200],
        "madeThen": 2,
        "elsewhere": 403,
        "madeAtLast": 2,
    }
