// A constructed sheet in a shadow root, as the banner has one.

export const css = `
:host{all:initial;font:14px/1.4 system-ui,sans-serif;color-scheme:light dark;--b:#fff;--t:#1b1b1f;--a:#a3341a}
@media(prefers-color-scheme:dark){:host{--b:#1d1e22;--t:#f2f2f4}}
*{box-sizing:border-box;font:inherit;color:inherit;margin:0}
.over{position:fixed;inset:0;z-index:2147483646;overflow:hidden;pointer-events:none}
.over>*{position:absolute;top:0;left:0}
.box{border:2px solid var(--a);background:rgb(220 60 20/var(--heat));border-radius:3px}
b{position:absolute;bottom:100%;left:-2px;padding:0 .35em;background:var(--a);color:#fff;font-size:12px;font-weight:600;white-space:nowrap;border-radius:3px}
.low b{top:100%;bottom:auto}
.on{z-index:1;border-width:3px}
.line{width:100%;border-top:2px dashed var(--a)}
.line b{left:1rem}
section{position:fixed;inset:auto 0 0;z-index:2147483647;width:fit-content;max-width:min(100%,60rem);max-height:40vh;margin:0 auto;padding:.75rem 1rem;overflow:auto;background:var(--b);color:var(--t);border:1px solid;border-bottom:0;border-radius:8px 8px 0 0}
h2{font-weight:700}
div.row{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin-top:.5rem}
button,select{min-height:36px;padding:.25em .75em;border:1px solid;border-radius:6px;background:var(--b);cursor:pointer}
label{display:flex;gap:.5rem;align-items:center;min-height:36px}
input{width:20px;height:20px;accent-color:var(--a)}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}
@media print{:host{display:none}}`
