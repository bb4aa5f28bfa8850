// Returning visitors: a random id in the site's own storage. Only while consent to analytics stands.
//
// It is as old as its first day, never renewed, and replaced after 13 months (395 days). Nothing is read or written
// before a decision. A refusal removes it, and no hit carries it from the refusal itself on.

import { module } from './module'
import { Consent } from './sotto'

const KEY = 'sotto_visitor'
const DAY_MS = 86_400_000
const AGE_MAX_MS = 395 * DAY_MS

module('_visitor', (sotto) => {
  let id: string | undefined
  const allowed = () => sotto.c! & Consent.Analytics

  /** sotto_visitor = <id>.<yyyy-mm-dd>. Where storage is forbidden the id ends with the document. */
  function known() {
    try {
      const [kept, day] = (localStorage[KEY] || '').split('.')
      if (/^[0-9a-z]{12}$/.test(kept) && Math.abs(Date.now() - Date.parse(day)) < AGE_MAX_MS) return kept
    } catch {}
    const bytes = crypto.getRandomValues(new Uint8Array(12))
    const fresh = Array.from(bytes, (byte) => (byte % 36).toString(36)).join('')
    try {
      localStorage[KEY] = fresh + '.' + new Date().toISOString().slice(0, 10)
    } catch {}
    return fresh
  }

  function obey() {
    if (!sotto.c || allowed()) return
    id = undefined
    try {
      localStorage.removeItem(KEY)
    } catch {}
  }

  // Asked for with every hit, so that it follows the mask of that very hit.
  Object.defineProperty(sotto, 'y', { get: () => (allowed() ? (id ||= known()) : undefined) })
  obey()
  addEventListener('sotto:consent', obey)
})
