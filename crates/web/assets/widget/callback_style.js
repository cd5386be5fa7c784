// The look of the call-back's form and of its confirmation, with the panel's colours.

import { WHEN_STYLE } from './when_style.js';

export const CALLBACK_STYLE = `${WHEN_STYLE}
.callback .stack { display: flex; flex-direction: column; gap: 14px; }
.field { display: grid; gap: 6px; }
.field label { font-size: 13px; font-weight: 600; color: var(--quiet); }
.field input { width: 100%; min-height: 50px; padding: 0 16px; border: 1px solid var(--edge); border-radius: 14px; background: var(--surface); color: var(--text); font: inherit; font-size: 18px; font-variant-numeric: tabular-nums; letter-spacing: .01em; }
.field input:focus-visible { outline-offset: 0; border-color: var(--accent); }
.field input[aria-invalid=true] { border-color: var(--danger); box-shadow: inset 0 0 0 1px var(--danger); }
.field p { font-size: 13px; color: var(--quiet); text-wrap: pretty; }
.field .wrong { color: var(--on-warn); font-size: 14px; }
.wrong { padding: 10px 14px; border-radius: 14px; background: var(--warn); color: var(--on-warn); font-size: 14px; text-wrap: pretty; }
.wrong:empty { display: none; }
.main[aria-disabled=true] { filter: saturate(.6) opacity(.75); cursor: progress; }
.callback .facts { display: grid; gap: 10px; margin: 0; padding: 14px 16px; border-radius: 14px; background: var(--soft); text-align: start; }
.facts div { display: grid; gap: 1px; }
.facts dt { font-size: 13px; color: var(--quiet); }
.facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.facts dd small { display: block; font-size: 13px; font-weight: 400; color: var(--quiet); }
a.main, a.second { text-decoration: none; text-align: center; }
a.main:focus-visible, a.second:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
.check { display: grid; gap: 8px; font-size: 13px; color: var(--quiet); text-wrap: pretty; }
.check[hidden] { display: none; }
.check progress { width: 100%; height: 6px; accent-color: var(--accent); }
@media (forced-colors: active) { .field input, .wrong, .facts { border: 1px solid CanvasText; } }
`;
