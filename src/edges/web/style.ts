/** The style of all pages: one file, custom properties, light and dark. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: light-dark(#1d2b24, #e6efe9);
  --quiet: light-dark(#4d5f55, #a3b5aa);
  --paper: light-dark(#fbfdfb, #131a16);
  --accent: light-dark(#2d7d46, #7fd39b);
  --measure: 38rem;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif; }
main, footer { max-width: var(--measure); margin-inline: auto; padding: 1.5rem 1.25rem; }
h1 { margin: 1.5rem 0 0; color: var(--accent); font-size: clamp(2rem, 8vw, 3rem); line-height: 1.1; }
h2 { margin: 2rem 0 .25rem; font-size: 1.125rem; }
p { margin: .25rem 0; }
.host, footer { color: var(--quiet); }
.lead { margin-top: 1.5rem; font-size: 1.25rem; }
a { color: var(--accent); }
article { margin-block: 1.5rem; padding-top: 1rem; border-top: 1px solid color-mix(in srgb, var(--quiet) 35%, transparent); overflow-wrap: anywhere; }
article pre { overflow-x: auto; }
blockquote { margin-inline: 0; padding-inline-start: 1rem; border-inline-start: 3px solid var(--accent); }
.meta { color: var(--quiet); font-size: .9375rem; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
`;
