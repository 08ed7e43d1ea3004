/** What has to hold before the first request. */
import { settings, SettingsError } from "./settings";

/** Ends the process with the reason when a setting is wrong, instead of failing at the first visitor. */
export function checkSettings(): void {
  try {
    settings();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`frontend: ${error.message}\n`);
    process.exit(1);
  }
}
