/** The main story, in a real browser against the running system at BASE_URL. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answered, BASE_URL, launch, openChat, PASSWORD, say, signOut, signUp, TIMEOUT_MS, watchPolicy } from "./browser.mjs";

const MESSAGE = "Add a task to buy milk";

/** Notes each length that the newest answer's text has while it is being written. */
function watchAnswer(page) {
  return page.evaluate(() => {
    const root = document.querySelector("openai-chatkit").shadowRoot;
    const lengths = (window.answerLengths = []);
    const note = () => {
      const length = root.querySelector(".item-assistant:last-of-type .markdown")?.textContent.length ?? 0;
      if (length > (lengths.at(-1) ?? 0)) lengths.push(length);
    };
    new MutationObserver(note).observe(root, { childList: true, characterData: true, subtree: true });
  });
}

let browser;
let page;
let violations;

before(async () => {
  browser = await launch();
  const context = await browser.newContext();
  context.setDefaultTimeout(TIMEOUT_MS);
  violations = watchPolicy(context);
  page = await context.newPage();
});

after(() => browser?.close());

test("a person signs up, adds a task in the chat, and finds everything again", async (t) => {
  const chat = page.locator("openai-chatkit");
  const badge = chat.locator(".w-badge");
  const answer = chat.locator(".item-assistant .markdown").last();
  let text = "";
  let list;
  let email;
  /** Names a step in the report; the first one that fails ends the story. */
  const step = async (name, run) => {
    t.diagnostic(name);
    await run();
  };

  await step("who is not signed in is sent to the sign-in page", async () => {
    await page.goto(`${BASE_URL}/dashboard`);
    await page.waitForURL((url) => url.pathname === "/sign-in");
  });

  await step("signs up", async () => {
    email = await signUp(page);
  });

  await step("opens the list in another tab", async () => {
    list = await page.context().newPage();
    await list.goto(`${BASE_URL}/dashboard`);
    await list.getByText("Nothing here yet").waitFor();
    // A page in the background is not drawn while the answer grows.
    await page.bringToFront();
  });

  await step("says a sentence and watches the answer being written", async () => {
    await openChat(page);
    await watchAnswer(page);
    await say(page, MESSAGE);
    await badge.filter({ hasText: "Success" }).waitFor();
    await answered(page);
    text = (await answer.innerText()).trim();
    const lengths = await page.evaluate(() => window.answerLengths);
    assert.ok(text.length > 0, "the answer has a text");
    assert.ok(lengths.length >= 3, `the text grew in at least 3 steps, not in ${JSON.stringify(lengths)}`);
  });

  await step("sees the task on the list, also in the other tab, without a reload", async () => {
    await list.getByTestId("task").filter({ hasText: "buy milk" }).waitFor();
    await page.getByRole("link", { name: "Tasks", exact: true }).click();
    await page.getByTestId("task").filter({ hasText: "buy milk" }).waitFor();
  });

  await step("reloads the chat and everything is still there", async () => {
    await page.getByRole("link", { name: "Chat", exact: true }).click();
    await chat.waitFor();
    await page.reload();
    await chat.locator(".bubble").filter({ hasText: MESSAGE }).waitFor();
    await badge.filter({ hasText: "Success" }).waitFor();
    await answer.waitFor();
    assert.equal((await answer.innerText()).trim(), text);
    assert.equal(await chat.locator(".bubble").count(), 1);
  });

  await step("reloads the chat while an answer is being written, and sees the rest being written", async () => {
    const words = Array.from({ length: 40 }, (_, index) => index + 1).join(" ");
    await say(page, "/words 40");
    await answer.filter({ hasText: "1 2 3 4 5" }).waitFor();
    await page.reload();
    await chat.waitFor();
    await watchAnswer(page);
    await answer.filter({ hasText: words }).waitFor();
    const lengths = await page.evaluate(() => window.answerLengths);
    assert.ok(lengths.length >= 3, `the text grew in at least 3 steps, not in ${JSON.stringify(lengths)}`);
    await answered(page);
  });

  await step("switches the theme", async () => {
    const isDark = () => page.evaluate(() => document.documentElement.classList.contains("dark"));
    const scheme = () => chat.getAttribute("data-scheme");
    const wasDark = await isDark();
    await page.getByTestId("theme-toggle").click();
    await page.waitForFunction((was) => document.documentElement.classList.contains("dark") !== was, wasDark);
    await chat.and(page.locator(`[data-scheme="${wasDark ? "light" : "dark"}"]`)).waitFor();
    assert.equal(await scheme(), wasDark ? "light" : "dark");
  });

  await step("finds what was said in another tab when this one is looked at again", async () => {
    await list.goto(page.url());
    await list.locator(".bubble").first().waitFor();
    await say(list, "/words 2");
    // What is not stored yet cannot be found.
    await list.locator(".bubble").filter({ hasText: "/words 2" }).waitFor();
    await answered(list);
    // Without a screen, every page has the focus all the time.
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await chat.locator(".bubble").filter({ hasText: "/words 2" }).waitFor();
  });

  await step("signs out in another tab, and is led back without losing what was being written", async () => {
    await signOut(list);
    await say(page, "/words 3");
    const [signIn] = await Promise.all([page.waitForEvent("popup"), page.getByTestId("session-ended").getByRole("link").click()]);
    await signIn.getByLabel("Email").fill(email);
    await signIn.getByLabel("Password").fill("not my password");
    await signIn.getByRole("button", { name: "Sign in" }).click();
    await signIn.getByText("Invalid email or password").waitFor();
    await signIn.locator("input[name=password]:focus").fill(PASSWORD);
    await signIn.getByRole("button", { name: "Sign in" }).click();
    await signIn.waitForURL(`${BASE_URL}/dashboard`);
    await page.getByRole("button", { name: "Retry" }).click();
    await answer.filter({ hasText: /^1 2 3$/ }).waitFor();
    await page.getByTestId("session-ended").waitFor({ state: "detached" });
    await answered(page);
  });

  await step("gets a message back that is too long, and can shorten it", async () => {
    await say(page, "x".repeat(1_100_000));
    await chat.getByRole("alert").waitFor();
    assert.equal((await page.getByLabel("Message", { exact: true }).inputValue()).length, 1_100_000);
  });

  await step("signs out, and the dashboard is closed again", async () => {
    await signOut(page);
    await page.goto(`${BASE_URL}/dashboard`);
    await page.waitForURL((url) => url.pathname === "/sign-in");
  });

  await step("nothing of all this broke the content security policy", async () => {
    assert.deepEqual(violations, []);
  });
});
