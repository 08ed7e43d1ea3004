/** Takes the README's pictures of the chat in both themes: `node e2e/screenshots.mjs [folder]`, against BASE_URL. */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { answered, launch, openChat, say, signUp, TIMEOUT_MS } from "./browser.mjs";

const FOLDER = process.argv[2] ?? fileURLToPath(new URL("../../docs/images", import.meta.url));
const SENTENCES = ["Add a task to buy milk", "Add a task to call the dentist", "What is on my list?"];

async function picture(browser, colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1200, height: 930 }, deviceScaleFactor: 2, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  await signUp(page);
  await openChat(page);
  for (const [index, sentence] of SENTENCES.entries()) {
    await say(page, sentence);
    await page.locator("openai-chatkit .item-assistant").nth(index).waitFor();
    await answered(page);
  }
  await page.getByLabel("Message", { exact: true }).focus();
  const path = `${FOLDER}/chat-${colorScheme}.png`;
  await page.screenshot({ path });
  console.log(path);
  await context.close();
}

mkdirSync(FOLDER, { recursive: true });
const browser = await launch();
try {
  for (const colorScheme of ["light", "dark"]) await picture(browser, colorScheme);
} finally {
  await browser.close();
}
