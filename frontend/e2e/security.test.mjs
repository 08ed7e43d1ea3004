/** What the page does against those who attack it from the browser, tried in a real one at BASE_URL. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { answered, BASE_URL, launch, openChat, say, signOut, signUp, TIMEOUT_MS, watchPolicy } from "./browser.mjs";

const EVIL = "http://evil.example";
const HOSTILE = `<img src=x onerror="window.ran=1"><script>window.ran=1</script>`;

const OPENAI = "https://cdn.platform.openai.com";
/** Stands in for OpenAI's script: an element that shows a frame from where the script came. */
const ELEMENT = `customElements.define("openai-chatkit", class extends HTMLElement {
  connectedCallback() {
    const frame = document.createElement("iframe");
    frame.src = "${OPENAI}/frame.html";
    this.attachShadow({ mode: "open" }).append(frame);
  }
  setOptions() {}
})`;

/** Headers of every answer: their name, and the value where one is the same everywhere. */
const EVERYWHERE = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "permissions-policy": /camera=\(\)/,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** What an attacker would have liked the server to send with a page. The first two set `window.ran`. */
const INJECTED = [
  "<script>window.ran = 1</script>",
  '<img src="data:," onerror="window.ran = 1">',
  `<script src="${EVIL}/script.js"></script>`,
  `<base href="${EVIL}/">`,
  `<iframe src="${EVIL}/"></iframe>`,
];

/** Opens the sign-in page with `html` in it, under the headers that the server sent; tells whether it ran. */
async function openWith(page, html) {
  await page.unrouteAll();
  await page.route(`${BASE_URL}/sign-in`, async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace(/<body[^>]*>/, (tag) => `${tag}${html}`);
    await route.fulfill({ response, body });
  });
  await page.goto(`${BASE_URL}/sign-in`);
  return page.evaluate(() => window.ran === 1);
}

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

async function newPage(options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(TIMEOUT_MS);
  return context.newPage();
}

async function userIdOf(page) {
  const session = await (await page.request.get(`${BASE_URL}/api/auth/get-session`)).json();
  return session.user.id;
}

test("every kind of answer carries the security headers, once", async () => {
  const home = await (await fetch(BASE_URL)).text();
  const file = /\/_next\/static\/[^"]+\.js/.exec(home)[0];
  const own = ["/", "/sign-in", "/dashboard", "/nothing-here", "/healthz", "/api/nobody/tasks", "/api/auth/get-session", "/api/auth/nothing"];
  own.push("/icon.svgx", "/icon.svg/x", "/_next/staticx", "/_next/image?url=%2Ficon.svg&w=64&q=75", "/api/auth/%ff");
  for (const path of [...own, "/icon.svg", file]) {
    const { headers, status } = await fetch(`${BASE_URL}${path}`, { redirect: "manual" });
    assert.ok(status < 500, `${status} ${path}`);
    for (const [name, value] of Object.entries(EVERYWHERE)) {
      assert.match(headers.get(name) ?? "", value instanceof RegExp ? value : new RegExp(`^${value}$`), `${name} of ${path}`);
    }
    assert.equal(headers.get("x-powered-by"), null);
    if (!own.includes(path)) continue;
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /frame-ancestors 'none'/, path);
    assert.doesNotMatch(policy, /script-src[^;]*unsafe|, /, path);
  }
});

test("each page view has a nonce of its own, which marks its scripts", async () => {
  const views = await Promise.all([1, 2].map(async () => {
    const response = await fetch(`${BASE_URL}/sign-in`);
    const [, nonce] = /'nonce-([^']+)'/.exec(response.headers.get("content-security-policy"));
    return { nonce, scripts: [...(await response.text()).matchAll(/<script\b[^>]*>/g)].map(([tag]) => tag) };
  }));
  assert.notEqual(views[0].nonce, views[1].nonce);
  for (const { nonce, scripts } of views) {
    assert.ok(scripts.length > 0);
    for (const tag of scripts) assert.ok(tag.includes(`nonce="${nonce}"`), tag);
  }
});

test("of a stranger's body, no more than 2 MiB are taken", async () => {
  const post = async (size) => {
    const headers = { origin: BASE_URL, "content-type": "application/json" };
    const body = JSON.stringify({ filler: "x".repeat(size) });
    return (await fetch(`${BASE_URL}/api/auth/sign-out`, { method: "POST", headers, body })).status;
  };
  assert.deepEqual([await post(1_000_000), await post(3_000_000)], [200, 400]);
});

test("what is injected into a page is refused", async (t) => {
  await t.test("by the policy", async () => {
    const page = await newPage();
    const said = watchPolicy(page.context());
    assert.equal(await openWith(page, INJECTED.join("")), false);
    assert.equal(said.length, INJECTED.length, said.join("\n"));
    await page.context().close();
  });
  await t.test("and by nothing else", async () => {
    const page = await newPage({ bypassCSP: true });
    assert.equal(await openWith(page, INJECTED[0]), true);
    assert.equal(await openWith(page, INJECTED[1]), true);
    await page.context().close();
  });
});

test("the session is a cookie that no script and no other site gets, and hostile texts stay texts", async (t) => {
  const page = await newPage();
  const violations = watchPolicy(page.context());
  await signUp(page, HOSTILE);
  const userId = await userIdOf(page);

  await t.test("the cookie", async () => {
    const cookies = (await page.context().cookies()).filter(({ name }) => name.startsWith("better-auth."));
    assert.ok(cookies.some(({ name }) => name === "better-auth.session_token"));
    for (const { httpOnly, sameSite, path } of cookies) assert.deepEqual({ httpOnly, sameSite, path }, { httpOnly: true, sameSite: "Lax", path: "/" });
    assert.doesNotMatch(await page.evaluate(() => document.cookie), /better-auth/);
  });

  await t.test("a request that another site's page makes in this browser changes nothing", async () => {
    const other = await page.context().newPage();
    await other.route(`${EVIL}/**`, (route) => route.fulfill({ contentType: "text/html", body: "<p>Win a prize</p>" }));
    await other.goto(`${EVIL}/`);
    await other.evaluate(async ([base, user]) => {
      const options = { method: "POST", mode: "no-cors", credentials: "include", body: '{"title":"forged"}' };
      await fetch(`${base}/api/${user}/tasks`, options).catch(() => undefined);
      await fetch(`${base}/api/auth/sign-out`, options).catch(() => undefined);
    }, [BASE_URL, userId]);
    await other.close();
    const tasks = await page.request.get(`${BASE_URL}/api/${userId}/tasks`);
    assert.deepEqual([tasks.status(), (await tasks.json()).data], [200, []]);
  });

  await t.test("nor does one that has the cookie and another origin", async () => {
    const headers = { origin: EVIL };
    const data = { title: "forged" };
    const created = await page.request.post(`${BASE_URL}/api/${userId}/tasks`, { headers, data });
    assert.deepEqual([created.status(), (await created.json()).code], [403, "origin_mismatch"]);
    const signedOut = await page.request.post(`${BASE_URL}/api/auth/sign-out`, { headers, data: {} });
    assert.deepEqual([signedOut.status(), (await signedOut.json()).code], [403, "INVALID_ORIGIN"]);
    const token = await page.request.get(`${BASE_URL}/api/auth/token`, { headers });
    for (const name of Object.keys(token.headers())) assert.doesNotMatch(name, /^access-control-/);
    assert.notEqual(await userIdOf(page), null);
  });

  await t.test("a cookie that was planted beside it opens nothing", async () => {
    const own = (await page.context().cookies()).find(({ name }) => name === "better-auth.session_token");
    const get = async (cookie) => (await fetch(`${BASE_URL}/api/${userId}/tasks`, { headers: { cookie } })).status;
    const planted = "__Secure-better-auth.session_token=planted";
    assert.equal(await get(`${planted}; ${own.name}=${own.value}`), 200);
    assert.equal(await get(planted), 401);
  });

  await t.test("nobody is led to another site", async () => {
    const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    const followed = (path, redirect) => fetch(`${BASE_URL}${path}${encodeURIComponent("/.//evil.example")}`, { headers: { cookie }, redirect });
    assert.equal(new URL((await followed("/api/auth/reset-password/x?callbackURL=", "follow")).url).origin, BASE_URL);
    for (const path of ["/sign-in?next=", "/sign-up?next=", "/api/auth/verify-email?token=x&callbackURL="]) {
      const { status, headers } = await followed(path, "manual");
      assert.equal(headers.get("location"), path.startsWith("/api/") ? null : "/dashboard", `${status} ${path}`);
    }
  });

  await t.test("hostile texts are shown as texts", async () => {
    await openChat(page);
    await say(page, `Add a task to ${HOSTILE}`);
    const chat = page.locator("openai-chatkit");
    await chat.locator(".bubble").filter({ hasText: "<script>" }).waitFor();
    await answered(page);
    assert.match(await chat.locator(".item-assistant .markdown").last().innerText(), /window\.ran/);
    assert.equal(await chat.locator("img, script").count(), 0);
    await page.getByRole("link", { name: "Tasks", exact: true }).click();
    await page.getByTestId("task").filter({ hasText: "onerror" }).waitFor();
    await page.getByTestId("user-menu").click();
    await page.getByText(HOSTILE).first().waitFor();
    assert.equal(await page.evaluate(() => window.ran), undefined);
    assert.deepEqual(violations, []);
  });

  await t.test("what is one visitor's stays out of caches", async () => {
    for (const path of ["get-session", "token", "list-sessions"]) {
      const answer = await page.request.get(`${BASE_URL}/api/auth/${path}`);
      assert.deepEqual([answer.status(), answer.headers()["cache-control"]], [200, "no-store"], path);
    }
  });

  await t.test("OpenAI's element gets its frame on the chat page, also behind a link, and nowhere else", async () => {
    const other = await page.context().newPage();
    await other.route(`${OPENAI}/**/chatkit.js`, (route) => route.fulfill({ contentType: "text/javascript", body: ELEMENT }));
    await other.route(`${OPENAI}/frame.html`, (route) => route.fulfill({ contentType: "text/html", body: "<p>Its frame</p>" }));
    await other.goto(`${BASE_URL}/dashboard`);
    await other.getByRole("link", { name: "Chat", exact: true }).click();
    await other.locator('openai-chatkit[data-source="openai"]').waitFor();
    await other.frameLocator("openai-chatkit iframe").getByText("Its frame").waitFor();
    assert.deepEqual(violations, []);
    await other.goto(`${BASE_URL}/dashboard`);
    await other.evaluate((address) => {
      const refused = new Promise((done) => document.addEventListener("securitypolicyviolation", done));
      document.body.append(Object.assign(document.createElement("iframe"), { src: address }));
      return refused.then(() => undefined);
    }, `${OPENAI}/frame.html`);
    assert.equal(violations.length, 1);
    await other.close();
  });

  await t.test("who signs in next sees nothing of who was here before, in another tab neither", async () => {
    const tab = await page.context().newPage();
    await tab.goto(`${BASE_URL}/dashboard/chat`);
    await tab.locator("openai-chatkit .bubble").filter({ hasText: "onerror" }).waitFor();
    await page.bringToFront();
    await page.goto(`${BASE_URL}/dashboard`);
    await signOut(page);
    await page.goBack();
    // Not the page that signing out has led to: the one that the page before it leads to now.
    await page.waitForURL((url) => url.pathname === "/sign-in" && url.searchParams.get("next") === "/dashboard");
    await signUp(page);
    await tab.bringToFront();
    await tab.getByText("Nothing here yet").waitFor();
    assert.equal(tab.url(), `${BASE_URL}/dashboard`);
    assert.doesNotMatch(await tab.locator("body").innerText(), /onerror/);
  });
  await page.context().close();
});
