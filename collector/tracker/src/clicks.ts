// Click map: where on a page people click. Only while consent to analytics stands.
//
// A click is a structural path (at most 6 levels, nearest usable id), the position inside the element
// and the position on the page. Never text, never values; never inputs, labels and other answers to a
// question, nor anything inside [data-sotto-mask].

import { beforeLeaving, module, savesData } from './module'
import { Consent } from './sotto'

const NEVER =
  '[data-sotto-mask],input,textarea,select,option,label,[contenteditable],[aria-checked],[aria-selected],[role=textbox]'
const BATCH = 20

type Click = [path: string, x: number, y: number, pageX: number, pageY: number]

module('_clicks', (sotto) => {
  if (savesData()) return
  let batch: Click[] = []
  const allowed = () => sotto.c! & Consent.Analytics

  /** Ids with long digit runs are generated (or name a record): the position among siblings is used. */
  function path(element: Element | null) {
    const steps: string[] = []
    while (element && element != document.body && steps.length < 6) {
      if (/^[a-z](?!.*\d{3})[\w-]{0,39}$/i.test(element.id)) {
        steps.unshift('#' + element.id)
        break
      }
      let index = 1
      let sibling: Element | null = element
      while ((sibling = sibling.previousElementSibling)) if (sibling.localName == element.localName) index++
      steps.unshift(element.localName.slice(0, 30) + (index > 1 ? ':' + index : ''))
      element = element.parentElement
    }
    return steps.join('>').slice(0, 256)
  }

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
      path(target),
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
