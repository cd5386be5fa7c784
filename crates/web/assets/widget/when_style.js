// The look of choosing a time, in the widget's panel and on the status page: both set the same custom properties.

export const WHEN_STYLE = `
.when { display: block; margin: 0; padding: 0; border: 0; min-width: 0; }
.when [hidden] { display: none !important; }
.when legend { margin-bottom: 8px; padding: 0; font-size: 13px; font-weight: 600; color: var(--quiet); }
.when input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.when input:disabled { cursor: default; }
.when-choice { display: grid; gap: 8px; }
.when-way, .when-day, .when-time { position: relative; border: 1px solid var(--line); border-radius: 14px; background: var(--surface); color: var(--text); cursor: pointer; transition: background .15s, border-color .15s; }
.when-way { display: flex; align-items: center; gap: 12px; min-height: 46px; padding: 10px 14px; line-height: 1.3; font-weight: 600; }
.when-way::before { content: ""; flex: none; width: 18px; height: 18px; border: 2px solid var(--edge); border-radius: 50%; background: var(--surface); }
.when-way:has(:checked)::before { border: 6px solid var(--accent); }
:is(.when-way, .when-day, .when-time):has(:checked) { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
:is(.when-way, .when-day, .when-time):hover { background: var(--soft); }
:is(.when-way, .when-day, .when-time):has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.when-slots { display: grid; gap: 12px; margin-top: 12px; min-width: 0; }
.when-choice[hidden] + .when-slots { margin-top: 0; }
.when-said, .when-note { margin: 0; font-size: 14px; color: var(--quiet); text-wrap: pretty; }
.when-note { font-size: 13px; }
.when-held { margin: 0; font-size: 14px; font-weight: 600; color: var(--text); text-wrap: pretty; }
.when-note:empty { display: none; }
.when-days { display: flex; gap: 8px; overflow-x: auto; margin: -5px; padding: 5px; scrollbar-width: thin; scroll-padding: 5px; }
.when-day { display: grid; justify-items: center; flex: none; min-width: 54px; padding: 7px 8px; font-size: 13px; line-height: 1.25; color: var(--quiet); }
.when-day b { font-size: 18px; font-weight: 650; color: var(--text); font-variant-numeric: tabular-nums; }
.when-times { display: grid; grid-template-columns: repeat(auto-fill, minmax(88px, 1fr)); gap: 8px; max-height: 216px; overflow-y: auto; margin: -5px; padding: 5px; scrollbar-width: thin; }
.when-time { display: grid; align-content: center; min-height: 44px; padding: 4px 6px; font-weight: 600; line-height: 1.25; text-align: center; font-variant-numeric: tabular-nums; }
.when-time small { font-size: 12px; font-weight: 400; color: var(--quiet); }
.when-time:has(:checked) { background: var(--accent); color: var(--on-accent); }
.when-time:has(:checked) small { color: inherit; }
.when-time:has(:disabled) { background: none; border-style: dashed; color: var(--quiet); font-weight: 400; text-decoration: line-through; cursor: default; }
.when-more { justify-self: start; min-height: 36px; padding: 0 4px; border: 0; background: none; font: inherit; font-size: 14px; font-weight: 600; color: var(--accent); text-decoration: underline; text-underline-offset: 4px; cursor: pointer; }
@media (forced-colors: active) {
  :is(.when-way, .when-day, .when-time):has(:checked) { border: 3px solid Highlight; }
}
`;
