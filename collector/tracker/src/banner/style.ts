// A constructed sheet in a shadow root: strict style policies allow it, and the site's rules do not reach in.
// Themed by custom properties: --sotto-background, --sotto-text, --sotto-accent, --sotto-on-accent,
// --sotto-radius, --sotto-font. Both first-layer buttons always look the same.

export const css = `
:host{--b:var(--sotto-background,#fff);--t:var(--sotto-text,#1b1b1f);--a:var(--sotto-accent,#1a4fa3);--o:var(--sotto-on-accent,#fff);font:16px/1.5 var(--sotto-font,system-ui,sans-serif);color-scheme:light dark}
@media(prefers-color-scheme:dark){:host{--b:var(--sotto-background,#1d1e22);--t:var(--sotto-text,#f2f2f4);--a:var(--sotto-accent,#a8c7ff);--o:var(--sotto-on-accent,#10131a)}}
*{box-sizing:border-box;font:inherit;color:inherit}
dialog{position:fixed;inset:auto 0 0;z-index:2147483647;width:min(100%,44rem);max-height:90vh;margin:0 auto;padding:1.25rem;overflow:auto;background:var(--b);color:var(--t);border:1px solid;border-radius:var(--sotto-radius,8px) var(--sotto-radius,8px) 0 0}
h2{margin:0;font-size:1.2em;font-weight:700}
p{margin:.4em 0 .8em}
div{display:flex;flex-wrap:wrap;gap:.75rem}
button{min-height:44px;padding:.5em 1em;border:2px solid var(--a);border-radius:var(--sotto-radius,8px);background:var(--a);color:var(--o);font-weight:600;cursor:pointer}
div>button{flex:1 1 10rem}
summary{min-height:44px;padding:.6em 0;cursor:pointer;text-decoration:underline}
label{display:flex;gap:.75rem;align-items:start;padding:.5em 0}
input{flex:none;width:24px;height:24px;margin:0;accent-color:var(--a)}
b{font-weight:700}
small{font-size:.9em}
a{display:inline-block;min-height:24px}
:focus-visible{outline:3px solid var(--a);outline-offset:3px}
dialog:focus-visible,h2:focus{outline:0}
.reopen{position:fixed;inset:auto auto 1rem 1rem;z-index:2147483646;background:var(--b);color:var(--t);border-color:var(--t)}
@media print{:host{display:none}}`
