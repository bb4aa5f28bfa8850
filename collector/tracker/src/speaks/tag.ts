// What the adapters share: each runs before the core, in the same file, and makes another product's tag one of ours.
// Types only say what pages may do; they may do anything, so nothing here trusts them.

import type { Props, Sotto, Stub } from '../sotto'

/** The tag, if there is one and our core does not run yet. `root` leads from the script's folder to the endpoint's. */
export function translated(root: string) {
  const tag = document.currentScript as HTMLScriptElement | null
  const before = window.sotto
  if (!tag || before?.send) return
  window.sotto =
    before ||
    (function () {
      ;((window.sotto as Stub).q ||= []).push(arguments)
    } as Stub)
  const { dataset } = tag
  // Other products' ids are not ours: the host of the page names the site.
  dataset.site = location.hostname
  dataset.api = new URL(root + 'e', tag.src).href
  return tag
}

/** Counts an event or a pageview; before the core runs, it is queued. */
export function say(name: unknown, props?: object | null, amount?: unknown, currency?: unknown) {
  ;(window.sotto as Sotto)(String(name), flat(props), amount as number, currency as string)
}

export function pageview(address?: unknown) {
  ;(window.sotto as Sotto)('pageview', address ? { u: String(address) } : undefined)
}

/** The core takes what is there already for another copy of itself, and stays still. */
export function silence() {
  window.sotto = Object.assign(() => {}, { send() {}, consent() {} }) as unknown as Sotto
}

/** Whether the visitor, or the site for all, said no in the other product's way. */
export function stored(key: string) {
  try {
    return localStorage.getItem(key)
  } catch {
    return null // storage is forbidden: nobody can have opted out in it
  }
}

/** Hits carry flat values of bounded length; what does not fit is left out, and the event stays. */
function flat(props?: object | null) {
  const kept: Props = {}
  for (const [key, value] of Object.entries(props || {}).slice(0, 20))
    if (/^(string|number|boolean)$/.test(typeof value)) kept[key.slice(0, 64)] = typeof value == 'string' ? value.slice(0, 200) : value
  return kept
}
