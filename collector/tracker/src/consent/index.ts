// Consent: reads the decision from the consent managers whose adapters are behind this module.
//
// Undecided is a state of its own: without a decision the core sends no mask. Where several services
// share a category, one refusal refuses it; where several managers decide, all must allow. A category
// id that neither the owner's map (data-map="C0009:4 fun:0" on the tag), nor the adapter, nor the table below
// knows grants nothing and is reported, so that the owner can map it. Characters of an id that would end an
// entry of the map or its attribute are percent-encoded there (Not%20mine:0).

import { module } from '../module'
import { Consent, type Adapter, type Decision } from '../sotto'

const ALL = Consent.Essential | Consent.Preference | Consent.Analytics | Consent.Marketing

const NAMES: Record<string, number> = {}
const name = (category: number, ids: string) => ids.split(' ').forEach((id) => (NAMES[id] = category))
name(Consent.Essential, 'necessary essential required strictly_necessary security')
name(Consent.Preference, 'functional functionality preference preferences personalization personalisation experience')
name(Consent.Analytics, 'analytics analytic statistics statistic measurement performance audience')
name(Consent.Marketing, 'marketing advertising advertisement ads targeting social social_networking socialmedia')
name(0, 'unclassified other')

const ID_MAX = 64 // characters of an id that are told apart and reported
const POLL_MS = 500
const PATIENCE = 20 // polls for a manager that loads late

const short = (id: string) => id.slice(0, ID_MAX).trim()

/** Without the percent-encoding; a stray % stays as it is. */
function decoded(id: string) {
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}

module('_consent', (sotto) => {
  const masks: Record<string, number> = {}
  const unmapped = new Set<string>()
  let told: number | undefined
  let reported = 0

  const owners: Record<string, number> = {}
  for (const entry of ((document.currentScript as HTMLElement | null)?.dataset.map || '').split(/[\s,]+/)) {
    const at = entry.lastIndexOf(':')
    if (at > 0) owners[short(decoded(entry.slice(0, at)))] = +entry.slice(at + 1)
  }

  function mask(decision: Decision, ids: Adapter['ids']) {
    if (typeof decision == 'number') return decision
    let granted: number = Consent.Essential
    let refused = 0
    for (const [full, yes] of decision) {
      const id = short(full)
      const category = owners[id] ?? ids?.[id] ?? NAMES[id.toLowerCase()]
      if (category == null) id && unmapped.size < 20 && unmapped.add(id)
      else if (yes) granted |= category
      else refused |= category
    }
    return (granted & ~refused) | Consent.Essential
  }

  function decide(source: string, own: number) {
    masks[source] = navigator.globalPrivacyControl ? own & ~Consent.Marketing : own
    let all: number = ALL
    for (const manager in masks) all &= masks[manager]
    if (all != told) sotto.consent((told = all), source)
  }

  sotto.adapter = (source, adapter) => {
    const again = () => {
      try {
        const take = (decision: Decision) => decide(source, mask(decision, adapter.ids))
        const decision = adapter.read(take)
        if (decision != null) take(decision)
      } catch {} // not ready yet: asked again
    }
    let watched = !adapter.watch
    let polls = 0
    const poll = () => {
      try {
        watched ||= !!adapter.watch!(again)
      } catch {}
      again()
      if (!adapter.silent && (++polls > PATIENCE || (watched && source in masks))) clearInterval(timer)
    }
    const timer = setInterval(poll, POLL_MS)
    // In the capture phase, so that events on document that do not bubble are heard as well. Read when the
    // manager has finished: some tell of every service or category on its own.
    const soon = () => queueMicrotask(again)
    for (const event of (adapter.events || '').split(' ')) event && addEventListener(event, soon, true)
    poll()
  }

  addEventListener('sotto:flush', () => {
    if (unmapped.size > reported && told) {
      reported = unmapped.size
      sotto.send('o', { src: Object.keys(masks)[0], un: [...unmapped] })
    }
  })
})
