/** Widgets. */
export const WIDGET_STYLES = /* css */ `
.widget { display: flex; max-width: 100%; }
.w-card { display: flex; flex-direction: column; width: 100%; max-width: 30rem; border: 1px solid var(--line); border-radius: 16px; background: var(--surface); overflow: hidden; }
.w-card[data-size="sm"] { max-width: 22rem; }
.w-card[data-size="lg"] { max-width: 38rem; }
.w-card[data-size="full"] { max-width: none; }
.w-card-body { display: flex; flex-direction: column; gap: 8px; padding: 12px 16px; min-width: 0; }
.w-card-body:empty { display: none; }
.w-card-footer { display: flex; justify-content: flex-end; gap: 8px; padding: 0 16px 14px; }
.w-status { display: flex; align-items: center; gap: 8px; padding: 9px 16px; border-bottom: 1px solid var(--line); font-size: 0.8125em; color: var(--text-soft); }
.w-basic, .w-box, .w-col { display: flex; flex-direction: column; gap: 8px; min-width: 0; }
.w-basic { width: 100%; }
.w-row, .w-box.w-row { display: flex; flex-direction: row; align-items: center; gap: 10px; min-width: 0; }
.w-row > .w-text { min-width: 0; }
.w-spacer { flex: 1 1 0; }
.w-divider { align-self: stretch; width: 100%; margin: 4px 0; border: 0; border-top: 1px solid var(--line); }
.w-flush { margin-inline: -16px; width: auto; }
.w-list > .w-list-item + .w-list-item { border-top: 1px solid var(--line); }
.w-list-item { display: flex; align-items: center; gap: 10px; width: 100%; padding: 10px 16px; border: 0; background: none; text-align: left; }
button.w-list-item:hover { background: var(--surface-soft); }
.w-list-more { padding: 10px 16px; border: 0; border-top: 1px solid var(--line); background: none; font-size: 0.875em; color: var(--text-soft); }
.w-text, .w-caption, .w-title { margin: 0; white-space: pre-line; }
.w-text { font-size: 0.9375em; line-height: 1.45; }
.w-text[data-size="xs"] { font-size: 0.75em; }
.w-text[data-size="sm"] { font-size: 0.875em; }
.w-text[data-size="lg"] { font-size: 1.0625em; }
.w-text[data-size="xl"] { font-size: 1.25em; }
.w-title { font-size: 1.0625em; font-weight: 600; line-height: 1.3; letter-spacing: -0.01em; }
.w-title[data-size="sm"] { font-size: 1em; }
.w-title[data-size="lg"] { font-size: 1.25em; }
.w-title:is([data-size="xl"], [data-size="2xl"]) { font-size: 1.5em; }
.w-title:is([data-size="3xl"], [data-size="4xl"], [data-size="5xl"]) { font-size: 2em; }
.w-caption { font-size: 0.8125em; line-height: 1.45; color: var(--text-soft); }
.w-caption[data-size="sm"] { font-size: 0.75em; }
.w-truncate { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.w-clamp { display: -webkit-box; overflow: hidden; -webkit-box-orient: vertical; -webkit-line-clamp: var(--max-lines); }
.w-icon { display: inline-grid; flex: none; }
.w-badge { --tone: var(--text-soft); display: inline-flex; flex: none; align-items: center; gap: 6px; padding: 1px 10px; border-radius: 999px; font-size: 0.75em; font-weight: 600; line-height: 1.7; color: var(--tone); background: color-mix(in srgb, var(--tone) 13%, transparent); }
.w-badge[data-size="md"] { font-size: 0.8125em; }
.w-badge[data-size="lg"] { font-size: 0.875em; }
.w-badge[data-color="success"] { --tone: var(--success); background: var(--success-soft); }
.w-badge[data-color="danger"] { --tone: var(--danger); }
.w-badge[data-color="warning"] { --tone: var(--warning); }
.w-badge[data-color="info"] { --tone: var(--info); }
.w-badge[data-color="discovery"] { --tone: var(--discovery); }
.w-badge::before { content: ""; width: 6px; height: 6px; border-radius: 50%; background: currentColor; }
.w-badge[data-color="info"]::before { animation: pulse 1.2s ease-in-out infinite; }
.w-badge[data-color="secondary"]::before { display: none; }
.w-badge[data-variant="outline"] { background: none; box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--tone) 45%, transparent); }
.w-badge[data-variant="solid"] { color: var(--surface); background: var(--tone); }
.w-badge[data-variant="solid"][data-color="success"] { color: var(--on-accent); background: var(--accent); }
.w-button { display: inline-flex; flex: none; align-items: center; justify-content: center; gap: 7px; min-height: 34px; padding: 4px 14px; border: 1px solid transparent; border-radius: 999px; background: none; font-size: 0.875em; font-weight: 500; transition: background-color 0.15s; }
.w-button:disabled { opacity: 0.5; cursor: default; }
.w-primary { background: var(--accent); color: var(--on-accent); font-weight: 600; }
.w-outline { border-color: var(--line-strong); background: var(--surface); }
.w-outline:not(:disabled):hover, .w-ghost:not(:disabled):hover { background: var(--surface-hover); }
.w-block { width: 100%; }
.w-image { display: block; max-width: 100%; border-radius: 12px; }
.w-frame { border: 1px solid var(--line); }
.w-unknown { display: flex; flex-direction: column; gap: 6px; padding: 8px 12px; border: 1px dashed var(--line-strong); border-radius: 10px; }
.w-unknown-label { font-size: 0.8125em; color: var(--text-soft); }
`;
