// The look of the panel. Colours, font and radius come from the loader's custom properties, so a page themes both at once.

export const PANEL_STYLE = `
[hidden] { display: none !important; }
.panel { position: fixed; z-index: var(--passerelle-layer, 2147483000); bottom: calc(var(--passerelle-offset-y, 20px) + env(safe-area-inset-bottom, 0px)); right: var(--passerelle-offset-x, 20px);
  width: min(372px, calc(100vw - 24px)); max-height: calc(100dvh - 40px); overflow: auto; overscroll-behavior: contain; scrollbar-width: thin;
  background: var(--surface); color: var(--text); border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow);
  text-align: start; animation: rise .22s cubic-bezier(.2,.8,.3,1); }
:host([data-side=left]) .panel { right: auto; left: var(--passerelle-offset-x, 20px); }
.panel:focus { outline: none; }
header { position: sticky; top: 0; z-index: 1; display: flex; align-items: center; justify-content: space-between; gap: 12px; padding: 14px 12px 10px 22px; background: var(--surface); }
h2, h3, p { margin: 0; }
h2 { font-size: 17px; font-weight: 700; letter-spacing: -.01em; }
h3 { font-size: 20px; line-height: 1.25; font-weight: 700; letter-spacing: -.015em; text-wrap: balance; }
.view { display: flex; flex-direction: column; gap: 14px; padding: 4px 22px 22px; }
.lead { color: var(--text); text-wrap: pretty; }
.more, .small { color: var(--quiet); }
.small { display: flex; gap: 10px; font-size: 13px; text-wrap: pretty; }
.small .icon { width: 18px; height: 18px; margin-top: 1px; }
.small span { overflow-wrap: anywhere; }
.centre { justify-content: center; text-align: center; }

.main, .second, .plain { display: inline-flex; align-items: center; justify-content: center; gap: 10px; min-height: 50px; padding: 0 20px; border: 1px solid transparent; border-radius: calc(var(--radius) * .7); font-weight: 600; transition: filter .15s, background .15s; }
.main { background: var(--accent); color: var(--on-accent); font-size: 16px; }
.main:hover { filter: brightness(1.08); }
.second { min-height: 44px; background: var(--soft); color: var(--text); border-color: var(--line); }
.second:hover, .plain:hover { background: var(--line); }
.plain { min-width: 40px; min-height: 40px; padding: 0 8px; border: 0; background: none; color: var(--quiet); }
.phone { padding: 6px; color: var(--accent); font-weight: 600; text-underline-offset: 4px; }
.plain.small { min-height: 32px; margin: 4px 0 0 -8px; color: inherit; text-decoration: underline; text-underline-offset: 3px; }

fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
legend { margin-bottom: 8px; padding: 0; font-size: 13px; font-weight: 600; color: var(--quiet); }
.modes { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; padding: 4px; border-radius: calc(var(--radius) * .7); background: var(--soft); box-shadow: inset 0 0 0 1px var(--line); }
.mode { position: relative; display: flex; align-items: center; justify-content: center; gap: 8px; min-height: 44px; padding: 6px 8px; border-radius: calc(var(--radius) * .52); font-weight: 600; font-size: 14px; line-height: 1.2; text-align: center; color: var(--quiet); cursor: pointer; transition: background .15s, color .15s; }
.mode:hover { color: var(--text); }
.mode .icon { width: 19px; height: 19px; }
.mode input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
.mode:has(:checked) { background: var(--surface); color: var(--accent); box-shadow: inset 0 0 0 2px var(--accent), 0 1px 3px #0002; }
.mode:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.hint { margin-top: 8px; min-height: 2.9em; font-size: 13px; color: var(--quiet); text-wrap: pretty; }

.who { display: flex; align-items: center; gap: 18px; min-height: 92px; }
.who > div:last-child { min-width: 0; }
.who .more { margin-top: 2px; font-size: 14px; }
.face { position: relative; display: grid; place-items: center; flex: none; width: 72px; height: 72px; margin: 8px; border-radius: 50%; background: var(--accent); color: var(--on-accent); font-size: 30px; font-weight: 600; }
.face > * { grid-area: 1 / 1; }
.face:has(span:not(:empty)) .icon { display: none; }
.face .icon { width: 30px; height: 30px; }
.face::before, .face::after { content: ""; position: absolute; inset: 0; border-radius: 50%; border: 2px solid var(--accent); opacity: 0; pointer-events: none; }
[data-state=talking] .face::after { opacity: .55; transform: scale(calc(1 + var(--level, 0) * .32)); transition: transform .08s linear; }
[data-state=connecting] .face, [data-state=asking] .face { animation: breathe 1.6s ease-in-out infinite; }
[data-state=ringing] .face::before, [data-state=ringing] .face::after { animation: ripple 2s ease-out infinite; }
[data-state=ringing] .face::after { animation-delay: 1s; }
:is([data-state=held], [data-state=reattaching]) .face { background: var(--soft); color: var(--quiet); box-shadow: inset 0 0 0 1px var(--line); }
.timer { margin-top: 4px; font-size: 15px; font-weight: 600; font-variant-numeric: tabular-nums; color: var(--accent); }

.controls { display: flex; justify-content: center; gap: 6px; }
.round { display: flex; flex: 1 1 0; flex-direction: column; align-items: center; gap: 8px; min-width: 0; max-width: 84px; padding: 4px 0; border: 0; border-radius: 14px; background: none; font-size: 12.5px; line-height: 1.25; color: var(--quiet); }
.disc { display: grid; place-items: center; width: 56px; height: 56px; border: 1px solid var(--line); border-radius: 50%; background: var(--soft); color: var(--text); transition: background .15s, color .15s, box-shadow .08s; }
[data-name=keypad] { stroke-width: 3.2; }
.round:hover .disc { background: var(--line); }
.round[aria-pressed=true] .disc, .round[aria-expanded=true] .disc { background: var(--text); color: var(--surface); border-color: transparent; }
[part~=mute][aria-pressed=false] .disc { box-shadow: 0 0 0 calc(var(--own-level, 0) * 7px) color-mix(in srgb, var(--accent) 30%, transparent); }
[part~=hangUp] .disc { background: var(--danger); color: var(--on-danger); border-color: transparent; }
[part~=hangUp] .icon { transform: rotate(135deg); }
[part~=hangUp]:hover .disc { background: var(--danger); filter: brightness(1.1); }

.hold-area { display: grid; justify-items: center; gap: 12px; }
.hold { display: grid; place-items: center; align-content: center; gap: 8px; width: 148px; height: 148px; padding: 12px; border: 2px solid var(--accent); border-radius: 50%; background: var(--surface); color: var(--accent); font-weight: 700; line-height: 1.2;
  touch-action: none; user-select: none; -webkit-user-select: none; -webkit-touch-callout: none; transition: background .1s, color .1s, transform .1s, box-shadow .1s; }
.hold .icon { width: 34px; height: 34px; }
.hold[aria-pressed=true] { background: var(--accent); color: var(--on-accent); transform: scale(.97); box-shadow: 0 0 0 calc(4px + var(--own-level, 0) * 14px) color-mix(in srgb, var(--accent) 28%, transparent); }

.keypad { display: grid; gap: 8px; }
.typed { display: block; min-height: 32px; font-size: 22px; letter-spacing: .08em; text-align: center; font-variant-numeric: tabular-nums; overflow: hidden; }
.keys { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; }
.key { display: grid; place-items: center; align-content: center; min-height: 50px; padding: 4px; border: 1px solid var(--line); border-radius: 14px; background: var(--soft); color: var(--text); }
.key b { font-size: 20px; font-weight: 600; line-height: 1.1; }
.key small { min-height: 12px; font-size: 10px; letter-spacing: .1em; line-height: 12px; color: var(--quiet); }
.key:hover { background: var(--line); }
.key:active { background: var(--accent); color: var(--on-accent); }
.key:active small { color: inherit; }

.over { align-items: stretch; text-align: center; }
.over .more { margin-top: -8px; text-wrap: pretty; }
.badge { display: grid; place-items: center; width: 64px; height: 64px; margin: 8px auto 0; border-radius: 50%; background: var(--soft); color: var(--accent); }
.badge .icon { width: 30px; height: 30px; }
[data-state=failed] .badge { background: var(--warn); color: var(--on-warn); }
[data-state=closed] .badge { color: var(--quiet); }

.notice { display: flex; gap: 12px; margin: 0 22px 12px; padding: 12px 14px; border-radius: 14px; background: var(--warn); color: var(--on-warn); font-size: 14px; }
.notice b, .notice span { display: block; }
.notice .plain:hover { background: #0001; }

@keyframes rise { from { opacity: 0; transform: translateY(14px) scale(.985); } }
@keyframes ripple { from { opacity: .6; } to { opacity: 0; transform: scale(1.42); } }
@media (max-width: 480px) {
  .panel, :host([data-side=left]) .panel { left: 0; right: 0; bottom: 0; width: auto; max-height: 92dvh; padding-bottom: env(safe-area-inset-bottom, 0px); border-width: 1px 0 0; border-radius: var(--radius) var(--radius) 0 0; }
}
@media (forced-colors: active) {
  .panel, .main, .second, .disc, .hold, .key, .notice, .mode { border: 1px solid ButtonText; }
  .mode:has(:checked), .round[aria-pressed=true] .disc, .hold[aria-pressed=true] { border: 3px solid Highlight; }
}
`;
