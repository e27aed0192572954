/** The style of all pages: one file, custom properties, light and dark. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: light-dark(#1d2b24, #e6efe9);
  --quiet: light-dark(#4d5f55, #a3b5aa);
  --paper: light-dark(#fbfdfb, #131a16);
  --accent: light-dark(#2d7d46, #7fd39b);
  --alarm: light-dark(#a5281b, #ff9d90);
  --measure: 38rem;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif; }
main, footer { max-width: var(--measure); margin-inline: auto; padding: 1.5rem 1.25rem; }
h1 { margin: 1.5rem 0 0; color: var(--accent); font-size: clamp(2rem, 8vw, 3rem); line-height: 1.1; }
h2 { margin: 2rem 0 .25rem; font-size: 1.125rem; }
p { margin: .25rem 0; }
ul { padding-inline-start: 1.25rem; }
.host, footer { color: var(--quiet); }
.lead { margin-top: 1.5rem; font-size: 1.25rem; }
a { color: var(--accent); }
article { margin-block: 1.5rem; padding-top: 1rem; border-top: 1px solid color-mix(in srgb, var(--quiet) 35%, transparent); overflow-wrap: anywhere; }
article pre { overflow-x: auto; }
blockquote { margin-inline: 0; padding-inline-start: 1rem; border-inline-start: 3px solid var(--accent); }
.meta { color: var(--quiet); font-size: .9375rem; }
dt { font-weight: 600; }
label { display: block; font-weight: 600; }
input:not([type=checkbox], [type=radio]) { width: 100%; padding: .625rem .75rem; border: 1px solid var(--quiet); border-radius: .375rem; background: transparent; color: inherit; font: inherit; }
button { padding: .625rem 1.25rem; border: 1px solid var(--accent); border-radius: .375rem; background: var(--accent); color: var(--paper); font: inherit; font-weight: 600; cursor: pointer; }
form > button { margin-block-start: .75rem; }
button.quiet { border-color: var(--quiet); background: transparent; color: inherit; }
:focus-visible { outline: 3px solid color-mix(in srgb, var(--accent) 60%, transparent); outline-offset: 2px; }
form { margin-block: 1.5rem; }
form p { margin-block: .75rem; }
.asks { font-size: clamp(1.5rem, 6vw, 2.25rem); overflow-wrap: anywhere; }
.box { display: grid; grid-template-columns: auto 1fr; gap: .75rem; align-items: start; }
.box input { width: 1.25rem; height: 1.25rem; margin: .2rem 0 0; accent-color: var(--accent); }
.box label .meta { display: block; font-weight: 400; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
.spends { margin-block: 1rem; padding: .75rem 1rem; border-inline-start: 3px solid var(--accent); background: color-mix(in srgb, var(--accent) 8%, transparent); }
.spends strong { font-weight: 600; }
.alert { padding: .75rem 1rem; border: 1px solid var(--alarm); border-radius: .375rem; color: var(--alarm); }
.code { display: block; padding: 1rem; border: 1px dashed var(--quiet); overflow-wrap: anywhere; user-select: all; }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
`;
