/** Messages, Markdown, and what the conversation is doing. */
export const ITEM_STYLES = /* css */ `
.items { display: flex; flex-direction: column; gap: var(--gap); margin: 0; padding: 0; list-style: none; }
.item { min-width: 0; overflow-wrap: anywhere; animation: rise 0.18s ease-out; }
.item-widget + .item-widget { margin-top: calc(var(--gap) * -0.6); }
.user { display: flex; flex-direction: column; align-items: flex-end; gap: 6px; }
.bubble { max-width: min(85%, 34rem); padding: 9px 16px; border-radius: var(--radius) var(--radius) 6px var(--radius); background: var(--surface-hover); white-space: pre-wrap; }
.is-pending .bubble { opacity: 0.6; }
.quoted { max-width: 85%; margin: 0; padding: 2px 12px; border-left: 3px solid var(--line-strong); color: var(--text-soft); font-size: 0.875em; }
.tag { display: inline-block; padding: 0 8px; border-radius: 8px; background: var(--success-soft); color: var(--success); }
.attachments, .sources { display: flex; flex-wrap: wrap; gap: 6px; }
.sources { margin-top: 10px; }
.source { padding: 2px 10px; border: 1px solid var(--line); border-radius: 999px; font-size: 0.8125em; color: var(--text-soft); text-decoration: none; }
a.source:hover { border-color: var(--line-strong); color: var(--text); }
.note { display: flex; gap: 8px; align-items: center; margin: 0; font-size: 0.875em; color: var(--text-soft); }

.markdown > :first-child { margin-top: 0; }
.markdown > :last-child { margin-bottom: 0; }
.markdown p { margin: 0 0 0.8em; }
.markdown :is(h3, h4, h5, h6) { margin: 1.4em 0 0.5em; font-size: 1em; font-weight: 600; line-height: 1.35; letter-spacing: -0.01em; }
.markdown h3 { font-size: 1.25em; }
.markdown h4 { font-size: 1.1em; }
.markdown :is(ul, ol) { margin: 0 0 0.8em; padding-left: 1.5em; }
.markdown ul { list-style-type: disc; }
.markdown ul ul { list-style-type: circle; }
.markdown li { margin: 0.2em 0; }
.markdown li > :is(ul, ol) { margin: 0.2em 0; }
.markdown li::marker { color: var(--text-faint); }
.markdown a { color: var(--accent-ink); text-underline-offset: 3px; }
.markdown blockquote { margin: 0 0 0.8em; padding: 0 0 0 14px; border-left: 3px solid var(--line-strong); color: var(--text-soft); }
.markdown hr { margin: 1.4em 0; border: 0; border-top: 1px solid var(--line); }
.markdown code { padding: 0.12em 0.36em; border-radius: 6px; background: var(--surface-hover); font-family: var(--font-mono); font-size: 0.875em; }
.markdown .code { margin: 0 0 0.8em; border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.markdown .code figcaption { padding: 5px 14px; border-bottom: 1px solid var(--line); font-size: 0.75em; color: var(--text-soft); }
.markdown pre { margin: 0; padding: 12px 14px; overflow-x: auto; background: var(--surface-soft); }
.markdown pre code { padding: 0; background: none; overflow-wrap: normal; }
.markdown .table { margin: 0 0 0.8em; overflow-x: auto; }
.markdown table { border-collapse: collapse; font-size: 0.9375em; }
.markdown :is(th, td) { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); text-align: start; overflow-wrap: normal; }
.markdown th { font-weight: 600; }
.markdown .align-right { text-align: right; }
.markdown .align-center { text-align: center; }

.workflow { margin: 0; font-size: 0.875em; color: var(--text-soft); list-style: none; padding: 0; }
.workflow summary { cursor: pointer; }
.workflow ul { margin: 6px 0 0; padding: 0; list-style: none; }
.task { display: flex; align-items: center; gap: 8px; padding: 3px 0; }
.task-loading svg, .note svg { animation: spin 1s linear infinite; }
.task-complete svg { color: var(--success); }

.older { display: block; margin: 0 auto var(--gap); padding: 6px 14px; border: 1px solid var(--line); border-radius: 999px; background: none; font-size: 0.8125em; color: var(--text-soft); }
.older:hover { background: var(--surface-soft); color: var(--text); }
.activity { display: flex; align-items: center; gap: 10px; min-height: 1.6em; margin-top: var(--gap); font-size: 0.9375em; color: var(--text-soft); }
.pulse { width: 9px; height: 9px; border-radius: 50%; background: var(--accent); animation: pulse 1.3s ease-in-out infinite; }
.activity[data-kind="reconnecting"] .pulse { background: var(--warning); }
.shimmer { background: linear-gradient(90deg, var(--text-soft) 40%, var(--text) 50%, var(--text-soft) 60%) 100% 0 / 300% 100%; background-clip: text; color: transparent; animation: shimmer 2s linear infinite; }
.loading { display: grid; gap: 14px; padding-top: 12px; }
.loading i { height: 18px; border-radius: 9px; background: var(--surface-hover); animation: pulse 1.4s ease-in-out infinite; }
.loading i:nth-of-type(1) { width: 45%; justify-self: end; height: 42px; border-radius: var(--radius); }
.loading i:nth-of-type(2) { width: 85%; }
.loading i:nth-of-type(3) { width: 60%; }
.notices:not(:empty) { display: grid; gap: 8px; margin-top: var(--gap); }
.notice, .failure { display: flex; align-items: flex-start; gap: 10px; padding: 11px 14px; border: 1px solid var(--line); border-radius: 14px; font-size: 0.9375em; }
.notice svg, .failure svg { flex: none; margin-top: 4px; }
.notice[data-level="info"] svg { color: var(--info); }
.notice[data-level="warning"] { border-color: color-mix(in srgb, var(--warning) 40%, transparent); }
.notice[data-level="warning"] svg { color: var(--warning); }
.notice[data-level="danger"] svg { color: var(--danger); }
.failure { align-items: center; margin-top: var(--gap); border-color: color-mix(in srgb, var(--danger) 35%, transparent); background: color-mix(in srgb, var(--danger) 7%, transparent); }
.notice[data-level="danger"] { border-color: color-mix(in srgb, var(--danger) 35%, transparent); background: color-mix(in srgb, var(--danger) 7%, transparent); }
.failure > svg { margin: 0; color: var(--danger); }
.failure p { flex: 1; margin: 0; }

@keyframes spin { to { transform: rotate(1turn); } }
@keyframes pulse { 50% { opacity: 0.4; } }
@keyframes shimmer { to { background-position: 0 0; } }
`;
