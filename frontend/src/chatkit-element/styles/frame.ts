/** Colours, and the parts that are always there. */
export const FRAME_STYLES = /* css */ `
:host {
  --accent: #0fff50;
  --on-accent: #04220c;
  --surface: #ffffff;
  --text: #101411;
  --surface-soft: color-mix(in srgb, var(--text) 5%, var(--surface));
  --surface-hover: color-mix(in srgb, var(--text) 8%, var(--surface));
  --text-soft: color-mix(in srgb, var(--text) 66%, var(--surface));
  --text-faint: color-mix(in srgb, var(--text) 62%, var(--surface));
  --line: color-mix(in srgb, var(--text) 11%, var(--surface));
  --line-strong: color-mix(in srgb, var(--text) 22%, var(--surface));
  --accent-ink: color-mix(in srgb, var(--accent) 42%, #00240b);
  --success: #0a7a30;
  --success-soft: color-mix(in srgb, var(--accent) 24%, var(--surface));
  --warning: #8a5a00;
  --danger: #c6282b;
  --info: #1d5fc4;
  --discovery: #7a3fc9;
  --radius: 22px;
  --gap: 22px;
  --size: 16px;
  --font: inherit;
  --font-mono: ui-monospace, "SFMono-Regular", Menlo, Consolas, "Liberation Mono", monospace;
  color-scheme: light;
  display: block;
  position: relative;
  height: 100%;
  min-height: 0;
  container-type: inline-size;
  font-family: var(--font);
  font-size: var(--size);
  line-height: 1.6;
  color: var(--text);
  background: var(--surface);
}
:host([hidden]) { display: none; }
:host([data-scheme="dark"]) {
  --surface: #0e1210;
  --text: #ecf1ed;
  --surface-soft: color-mix(in srgb, var(--text) 7%, var(--surface));
  --surface-hover: color-mix(in srgb, var(--text) 11%, var(--surface));
  --accent-ink: color-mix(in srgb, var(--accent) 78%, #ffffff);
  --success: #5dfc8b;
  --success-soft: color-mix(in srgb, var(--accent) 16%, var(--surface));
  --warning: #f5c451;
  --danger: #ff7b7b;
  --info: #86b4ff;
  --discovery: #c8a4ff;
  color-scheme: dark;
}
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
button { font: inherit; color: inherit; cursor: pointer; }
:is(button, a, summary, input, .scroller, pre):focus-visible { outline: 2px solid var(--accent-ink); outline-offset: 2px; }
.scroller:focus-visible { outline-offset: -3px; }
.sr-only { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.shell { position: absolute; inset: 0; display: flex; flex-direction: column; overflow: hidden; }
.shell.is-empty { justify-content: center; }
.header { display: flex; align-items: center; gap: 8px; width: 100%; max-width: 72rem; min-height: 52px; margin-inline: auto; padding: 8px 12px; }
@container (min-width: 40rem) { .header { padding-inline: 16px; } }
.shell.is-empty .header { position: absolute; inset: 0 0 auto; margin-inline: auto; }
.title { flex: 1; margin: 0; font-size: 0.9375em; font-weight: 600; text-align: center; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.header .title:not(.sr-only) { padding-inline: 4px; }
.round { display: grid; place-content: center; flex: none; width: 36px; height: 36px; padding: 0; border: 0; border-radius: 50%; background: none; transition: background-color 0.15s, opacity 0.15s, transform 0.15s; }
.round.plain { color: var(--text-soft); }
.round.plain:hover { background: var(--surface-hover); color: var(--text); }
.round.small { width: 30px; height: 30px; }
.header > .round:last-child { margin-left: auto; }

.conversation { position: relative; flex: 1; min-height: 0; }
.scroller { height: 100%; overflow-y: auto; overscroll-behavior: contain; scrollbar-gutter: stable both-edges; }
.column { width: 100%; max-width: 46rem; margin-inline: auto; padding: 12px 20px 28px; }
.latest { position: absolute; left: 50%; bottom: 10px; display: grid; place-content: center; width: 36px; height: 36px; border: 1px solid var(--line); border-radius: 50%; background: var(--surface); box-shadow: 0 6px 20px -6px rgb(0 0 0 / 35%); transform: translateX(-50%); }

.start { width: 100%; max-width: 46rem; margin-inline: auto; padding: 0 20px 22px; text-align: center; }
.start h2 { margin: 0; font-size: clamp(1.5em, 6cqi, 2em); font-weight: 600; letter-spacing: -0.025em; line-height: 1.2; text-wrap: balance; }
.prompts { display: flex; flex-wrap: wrap; justify-content: center; gap: 8px; margin-top: 24px; }
.prompts:empty { display: none; }
.prompt { display: inline-flex; align-items: center; gap: 9px; padding: 8px 15px; border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface); font-size: 0.875em; text-align: left; transition: background-color 0.15s, border-color 0.15s; }
.prompt svg { flex: none; color: var(--accent-ink); }
.prompt:hover { border-color: var(--line-strong); background: var(--surface-soft); }

.foot { width: 100%; max-width: 46rem; margin-inline: auto; padding: 0 20px 12px; }
.composer { display: flex; align-items: flex-end; gap: 8px; padding: 8px; border: 1px solid var(--line-strong); border-radius: calc(var(--radius) + 4px); background: var(--surface); box-shadow: 0 10px 32px -18px rgb(0 0 0 / 28%); cursor: text; transition: border-color 0.15s, box-shadow 0.15s; }
.composer:focus-within { border-color: var(--accent-ink); box-shadow: 0 0 0 3px color-mix(in srgb, var(--accent) 26%, transparent), 0 10px 32px -18px rgb(0 0 0 / 28%); }
.composer textarea { flex: 1; min-width: 0; max-height: 200px; padding: 6px 4px 6px 12px; border: 0; outline: 0; resize: none; background: none; color: inherit; font: inherit; line-height: 24px; }
.composer textarea::placeholder { color: var(--text-faint); }
.round.send { background: var(--accent); color: var(--on-accent); }
.round.send:disabled { background: var(--surface-hover); color: var(--text-faint); cursor: default; }
.round.send:not(:disabled):hover { transform: translateY(-1px); }
.round.stop { background: var(--text); color: var(--surface); }
.round.stop:disabled { opacity: 0.45; cursor: default; }
.round.stop svg { fill: currentColor; }
.disclaimer { margin-top: 8px; font-size: 0.75em; text-align: center; color: var(--text-faint); }
.disclaimer.is-strong { color: var(--text); }
.disclaimer:empty { display: none; }
.disclaimer p { margin: 0; }

.history { position: absolute; inset: 0; z-index: 2; display: flex; flex-direction: column; background: var(--surface); animation: rise 0.16s ease-out; }
.history header { display: flex; align-items: center; justify-content: space-between; width: 100%; max-width: 46rem; min-height: 52px; margin-inline: auto; padding: 8px 20px; }
.history h2 { margin: 0; font-size: 1em; font-weight: 600; }
.threads-scroller { flex: 1; min-height: 0; overflow-y: auto; width: 100%; max-width: 46rem; margin-inline: auto; padding: 4px 12px 20px; }
.threads { margin: 0; padding: 0; list-style: none; }
.threads-message { margin: 0; padding: 24px 8px; text-align: center; font-size: 0.875em; color: var(--text-soft); }
.thread { display: flex; align-items: center; gap: 2px; border-radius: 12px; padding-right: 6px; }
.thread:hover, .thread:focus-within { background: var(--surface-soft); }
.thread-open { flex: 1; display: flex; align-items: baseline; gap: 12px; min-width: 0; padding: 11px 8px 11px 12px; border: 0; border-radius: 12px; background: none; text-align: left; }
.thread-open[aria-current="true"] .thread-title { font-weight: 600; }
.thread-open[aria-current="true"]::before { content: ""; align-self: center; flex: none; width: 7px; height: 7px; border-radius: 50%; background: var(--accent); box-shadow: 0 0 0 3px var(--success-soft); }
.thread-title { flex: 1; min-width: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.thread-time { flex: none; font-size: 0.8125em; color: var(--text-faint); }
.thread .small { opacity: 0; }
.thread:hover .small, .thread .small:focus-visible, .thread.is-deleting .small { opacity: 1; }
@media (hover: none) { .thread .small { opacity: 1; } }
.thread.is-deleting .small:last-child { background: var(--danger); color: var(--surface); }
.thread.is-renaming .thread-open, .thread.is-renaming .small { display: none; }
.thread-form { flex: 1; padding: 5px 4px; }
.thread-rename { width: 100%; padding: 6px 10px; border: 1px solid var(--line-strong); border-radius: 8px; background: var(--surface); color: inherit; font: inherit; }

@keyframes rise { from { opacity: 0; transform: translateY(6px); } }
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation-duration: 0.01ms !important; transition-duration: 0.01ms !important; } }
@container (max-width: 32rem) {
  .column { padding: 8px 14px 20px; }
  .foot { padding: 0 10px 10px; }
  .start { padding-inline: 14px; }
}
`;
