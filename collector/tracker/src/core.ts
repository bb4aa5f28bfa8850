// The core: pageviews, engagement, custom events, consent mask.
//
// It writes nothing to the device and reads one key of it (the visitor's opt-out). It reads the
// address, the referrer, the viewport's width and the scroll position; no language, no time zone, no
// title, no user agent. The only identifier is random, lives in memory and ends with the page view.
//
// Every byte is paid for by every visitor: budget.json says how many there may be. Functions, variables,
// keys and alternatives therefore stand in the order that compresses best, together with `auto`. The
// reasons for what looks odd here stand in README.md under "Traps".

import type { Kind, Props, Sotto } from './sotto'

type Hit = Record<string, unknown>

const script = document.currentScript as HTMLScriptElement | null
const before = window.sotto
if (script && !before?.send) {
  let depthReported: number
  let depth: number // deepest point seen, per cent of the page
  const undelivered: (() => void)[] = []
  const calls = before?.q || []
  let address: string // cleaned address of the current view
  let sequence: number
  let view: string // id of the current page view; empty until the first visible moment
  const options = script.dataset
  let visibleSince: number | false
  let referrer = document.referrer || undefined
  let engaged: number // visible milliseconds not reported yet
  const endpoint = options.api || new URL('e', script.src)

  const measureDepth = () => {
    const seen = (((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100 + 0.5) | 0
    if (seen > depth) depth = seen > 100 ? 100 : seen
  }

  const sotto = (window.sotto = function (name: string, props?: Props, amount?: number, currency?: string) {
    if (!view) calls.push(arguments)
    else if (name == 'pageview') page(props?.u as string)
    else send('x', { n: name, m$: amount && { a: amount, c: currency }, p: props })
  } as Sotto)

  const look = () => {
    if (view) flush()
    else if (!document.hidden) {
      if (options.manual == null) {
        page()
        if (window.navigation) navigation.addEventListener('currententrychange', route)
        else setInterval(route, 500)
        addEventListener('pageshow', (event) => event.persisted && page())
      } else open()
      addEventListener('scroll', measureDepth)
      addEventListener('pagehide', flush)
      calls.map((call) => sotto(...(call as [string])))
    }
  }

  /** A rejection means offline, blocked, over the browser's keepalive quota, or a server that is busy. */
  const post = (hit: Hit, born = now()) => {
    const keep = () => undelivered[8] || undelivered.push(() => post(hit, born))
    hit.a = (now() - born) | 0 || undefined
    fetch(endpoint, { body: JSON.stringify(hit), keepalive: true, method: 'POST', credentials: 'omit' }).then(
      (answer) => answer.status > 499 && keep(),
      keep,
    )
  }

  /** Routers touch the history several times per view: only a new cleaned address is a new view. */
  const route = () => {
    clean() == address || page()
  }

  /**
   * Keeps campaign parameters, on our own addresses only; of a click id the name and nothing else. The build puts the
   * names of collector/data/click_ids.toml where it says CLICK_IDS. Every other character of the query goes.
   */
  const clean = (href = location.href) => {
    const url = new URL(href, location.href)
    url.search =
      location.origin == url.origin
        ? url.search.replace(/((&|^.)((source|via|utm_\w*|ref)=[^&]*|(CLICK_IDS)\b))|./gi, '$1').slice(1)
        : ''
    options.hash ?? (url.hash = '')
    return url.href.slice(0, 2048)
  }

  const page = (named?: string) => {
    flush(1)
    open()
    address = clean()
    send('p', { w: innerWidth, r: referrer && clean(referrer), u: clean(named) })
    referrer = undefined
  }

  const open = () => {
    view = Math.random().toString(36).slice(2, 10)
    engaged = sequence = depth = depthReported = 0
  }

  const now = () => performance.now()

  /** Reports what is new since the last report. `ending` is 1 when this document goes on to another view. */
  const flush = (ending?: unknown) => {
    if (visibleSince) engaged += now() - visibleSince
    visibleSince = !document.hidden && now()
    if (address) {
      depth || measureDepth()
      if (engaged > 999 || depth > depthReported) {
        send('e', { d: (depthReported = depth), e: engaged | 0 })
        engaged = 0
      }
      dispatchEvent(new CustomEvent('sotto:flush', { detail: ending }))
    }
  }

  const send = (kind: Kind, fields: object) => {
    if (!view) return
    undelivered.splice(0).map((late) => late())
    post({ i: view, v: 1, y: sotto.y, k: kind, q: sequence++, s: options.site, c: sotto.c, b: +navigator.webdriver || undefined, ...fields })
  }

  sotto.c = +options.consent! || undefined
  sotto.send = send
  sotto.consent = (mask, source) => {
    sotto.c = mask | 1
    send('o', { src: source })
    dispatchEvent(new CustomEvent('sotto:consent', { detail: sotto.c }))
  }

  let ignored
  try {
    ignored =
      (options.local == null && /^(\[::1|127\.|localhost$|$)/.test(location.hostname)) ||
      (options.frame == null && self != top) ||
      localStorage.sotto_ignore
  } catch {} // storage is forbidden: nobody can have opted out in it
  if (!ignored) {
    // Behind the modules of this file, so that a stored consent is known to the first hit.
    queueMicrotask(look)
    addEventListener('visibilitychange', look)
  }
}
