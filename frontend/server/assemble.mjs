/** Completes .next/standalone so that the folder alone runs: static files, public files and the start program. */
import { cpSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const standalone = `${root}.next/standalone/`;

cpSync(`${root}.next/static`, `${standalone}.next/static`, { recursive: true });
if (existsSync(`${root}public`)) cpSync(`${root}public`, `${standalone}public`, { recursive: true });
cpSync(`${root}server/start.mjs`, `${standalone}start.mjs`);
