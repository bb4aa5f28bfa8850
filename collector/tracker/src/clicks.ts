// Click map: where on a page people click. Only while consent to analytics stands.
//
// A click is a structural path (at most 6 levels, nearest usable id), the position inside the element
// and the position on the page. Never text, never values; never inputs, labels and other answers to a
// question, nor anything inside [data-sotto-mask].
//
// The link of the report on clicks (`#sotto-overlay=…`) opens the click map over the page instead: overlay/index.ts.

import { elementPath } from './element-path'
import { beforeLeaving, module, savesData } from './module'
import { Consent } from './sotto'

const NEVER =
  '[data-sotto-mask],input,textarea,select,option,label,[contenteditable],[aria-checked],[aria-selected],[role=textbox]'
const BATCH = 20

type Click = [path: string, x: number, y: number, pageX: number, pageY: number]

module('_clicks', (sotto) => {
  const { integrity, nonce, src } = document.currentScript as HTMLScriptElement
  const figures = location.hash.split('#sotto-overlay=')[1]
  // A tag with `integrity` trusts these bytes and not the server: nothing is fetched for it.
  if (figures && !integrity) {
    // The link is a secret of its reader: it is gone before the page's address is reported.
    history.replaceState(history.state, '', '#')
    const script = Object.assign(document.createElement('script'), { nonce, src: src.replace(/[^/]*$/, 's.overlay.js') })
    script.dataset.figures = figures
    document.head.append(script)
    return
  }
  if (savesData()) return
  let batch: Click[] = []
  const allowed = () => sotto.c! & Consent.Analytics

  const perMille = (part: number, whole: number) => Math.max(0, Math.min(1000, ((part / whole) * 1000) | 0))

  function report() {
    if (batch.length && allowed()) sotto.send('c', { h: batch })
    batch = []
  }

  function click(event: MouseEvent) {
    const target = event.target as Element
    if (!allowed() || !event.isTrusted || !target.closest || target.closest(NEVER)) return
    const box = target.getBoundingClientRect()
    // A click made by the keyboard has no position: the middle stands for it.
    const x = event.detail ? event.clientX : box.x + box.width / 2
    const y = event.detail ? event.clientY : box.y + box.height / 2
    batch.push([
      elementPath(target),
      perMille(x - box.x, box.width),
      perMille(y - box.y, box.height),
      perMille(x + scrollX, document.documentElement.scrollWidth),
      Math.max(0, (y + scrollY) | 0),
    ])
    if (batch.length >= BATCH) report()
  }

  addEventListener('click', click, { capture: true, passive: true })
  addEventListener('sotto:consent', () => allowed() || (batch = []))
  beforeLeaving(report)
})
