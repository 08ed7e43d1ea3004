/** A Chromium for the end-to-end programs. CHROMIUM_PATH names another than Debian's. */
import { chromium } from "playwright-core";

export const BASE_URL = (process.env.BASE_URL ?? "http://localhost:3000").replace(/\/+$/, "");

/** Longest time for anything that the story waits for, in milliseconds. */
export const TIMEOUT_MS = Number(process.env.E2E_TIMEOUT_MS ?? 30_000);

export const PASSWORD = "correct horse battery staple";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Collects what the browser says of the pages' content security policy; nothing, if the policy fits the pages. */
export function watchPolicy(context) {
  const violations = [];
  context.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) violations.push(message.text());
  });
  return violations;
}

/** Fills the sign-up form as a person that nobody has been before, and arrives at the dashboard; returns the address. */
export async function signUp(page, name = "Sample Visitor") {
  const email = `story-${crypto.randomUUID()}@example.com`;
  await page.goto(`${BASE_URL}/sign-up`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL(`${BASE_URL}/dashboard`);
  return email;
}

export async function signOut(page) {
  await page.getByTestId("user-menu").click();
  await page.getByTestId("sign-out").click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
}

/** Opens the chat and waits until messages can be sent. */
export async function openChat(page) {
  await page.getByRole("link", { name: "Chat", exact: true }).click();
  await page.getByLabel("Message", { exact: true }).waitFor();
}

export async function say(page, text) {
  const field = page.getByLabel("Message", { exact: true });
  await field.fill(text);
  await field.press("Enter");
}

/** Waits until the answer to the last message is whole: the composer takes the next one. */
export async function answered(page) {
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
}
