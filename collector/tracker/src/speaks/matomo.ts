// Matomo's tag and `_paq`. Pages say themselves what they count, so the core counts only what it is told. A consent that
// Matomo's commands give is one to analytics; nothing is stored, so a page has to give it on every view.

import type { Sotto } from '../sotto'
import { pageview, say, silence, translated } from './tag'

const ANALYTICS = 1 | 4
const REFUSED = 1
const FILE = /\.(7z|zip|rar|gz|tar|pdf|docx?|xlsx?|pptx?|od[stp]|csv|mp[34]|mov|avi|exe|dmg|apk|iso)$/i

const tag = translated('')
if (tag) {
  tag.dataset.manual = ''
  let address: string | undefined
  let links = false
  let held: (() => void)[] | undefined // while consent is required and not given

  const run = (step: () => void) => void (held ? held.push(step) : step())
  const consent = (mask: number) => {
    const sotto = window.sotto as Sotto
    if (sotto.consent) sotto.consent(mask, 'matomo')
    else tag.dataset.consent = String(mask)
  }
  const give = () => {
    consent(ANALYTICS)
    const waiting = held || []
    held = undefined
    waiting.forEach((step) => step())
  }
  const link = (url: string, kind?: string) => run(() => say(kind == 'download' ? 'File download' : 'Outbound link', { url }))

  const commands: Record<string, (...args: string[]) => void> = {
    trackPageView: () => {
      const named = address
      run(() => pageview(named))
    },
    trackEvent: (category, action, name, value) => run(() => say(action, { category, name, value })),
    // Matomo's goals have no currency, and an amount without one is none.
    trackGoal: (id, revenue) => run(() => say('Goal ' + id, { revenue })),
    trackSiteSearch: (keyword, category, results) => run(() => say('Site search', { keyword, category, results })),
    trackLink: link,
    setCustomUrl: (url) => {
      address = url
    },
    requireConsent: () => {
      held ||= []
    },
    setConsentGiven: give,
    rememberConsentGiven: give,
    forgetConsentGiven: () => consent(REFUSED),
    optUserOut: () => consent(REFUSED),
    setDoNotTrack: (on) => {
      if (on && navigator.doNotTrack == '1') silence()
    },
    enableLinkTracking: () => {
      if (links) return
      links = true
      addEventListener('click', ({ target }) => {
        const { host, origin, pathname } = (target as Element).closest?.<HTMLAnchorElement>('a[href]') || ({} as HTMLAnchorElement)
        if (host && FILE.test(pathname)) link(origin + pathname, 'download')
        else if (host && host != location.host) link(origin + pathname)
      })
    },
  }
  const execute = ([name, ...args]: unknown[]) => {
    try {
      if (typeof name == 'function') name.apply({}, args)
      else if (Object.keys(commands).includes(String(name))) commands[String(name)](...(args as string[]))
    } catch {} // a page's own function wants more of the tracker than there is
  }
  const page = window as unknown as { _paq?: unknown[][] | { push(...list: unknown[][]): void } }
  const early = Array.isArray(page._paq) ? page._paq : []
  page._paq = { push: (...list: unknown[][]) => list.forEach(execute) }
  const first = (call: unknown[]) => call[0] == 'requireConsent' || call[0] == 'setDoNotTrack'
  early.filter(first).forEach(execute)
  early.filter((call) => !first(call)).forEach(execute)
}
