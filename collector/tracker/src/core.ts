// The core: pageviews, engagement, custom events, consent mask.
//
// It writes nothing to the device and reads one key of it (the visitor's opt-out). It reads the
// address, the referrer, the viewport's width and the scroll position; no language, no time zone, no
// title, no user agent. The only identifier is random, lives in memory and ends with the page view.
//
// Every byte is paid for by every visitor: budget.json says how many there may be. The reasons for
// what looks odd here stand in README.md under "Traps".

import type { Call, Kind, Props, Sotto } from './sotto'

type Hit = Record<string, unknown>

function start(script: HTMLScriptElement, calls: Call[]) {
  const options = script.dataset
  const endpoint = options.api || new URL('e', script.src)
  const undelivered: [Hit, number][] = []
  const now = () => performance.now()

  let view: string // id of the current page view; empty until the first visible moment
  let sequence: number
  let address: string // cleaned address of the current view
  let referrer = document.referrer || undefined
  let visibleSince: number | false
  let engaged: number // visible milliseconds not reported yet
  let depth: number // deepest point seen, per cent of the page
  let depthReported: number

  /** Keeps campaign parameters, on our own addresses only; click ids lose their value. */
  function clean(href = location.href) {
    const url = new URL(href, location.href)
    if (url.origin != location.origin) url.search = url.hash = ''
    for (const key of [...url.searchParams.keys()])
      if (!/^(utm_.+|ref|source|via)$/.test(key))
        /clid$/.test(key) ? url.searchParams.set(key, '') : url.searchParams.delete(key)
    options.hash ?? (url.hash = '')
    return url.href.slice(0, 2048)
  }

  /** A rejection means offline, blocked, over the browser's keepalive quota, or a server that is busy. */
  function post(hit: Hit, born?: number) {
    const since = born || now()
    const keep = () => undelivered[8] || undelivered.push([hit, since])
    hit.a = born && (now() - born) | 0
    fetch(endpoint, { method: 'POST', keepalive: true, credentials: 'omit', body: JSON.stringify(hit) }).then(
      (answer) => answer.status > 499 && keep(),
      keep,
    )
  }

  function send(kind: Kind, fields: object) {
    if (!view) return
    for (const late of undelivered.splice(0)) post(...late)
    // In the order that compresses best.
    post({ i: view, c: sotto.c, y: sotto.y, v: 1, k: kind, b: +navigator.webdriver || undefined, q: sequence++, s: options.site, ...fields })
  }

  function tell(event: string, detail: unknown) {
    dispatchEvent(new CustomEvent('sotto:' + event, { detail }))
  }

  function measureDepth() {
    const seen = (((scrollY + innerHeight) / document.documentElement.scrollHeight) * 100 + 0.5) | 0
    if (seen > depth) depth = seen > 100 ? 100 : seen
  }

  /** Reports what is new since the last report. `ending` is 1 when this document goes on to another view. */
  function flush(ending?: unknown) {
    if (visibleSince) engaged += now() - visibleSince
    visibleSince = !document.hidden && now()
    if (address) {
      depth || measureDepth()
      if (engaged > 999 || depth > depthReported) {
        send('e', { e: engaged | 0, d: (depthReported = depth) })
        engaged = 0
      }
      tell('flush', ending)
    }
  }

  function open() {
    view = Math.random().toString(36).slice(2, 10)
    sequence = engaged = depth = depthReported = 0
  }

  function page(named?: string) {
    flush(1)
    open()
    address = clean()
    send('p', { u: clean(named), r: referrer && clean(referrer), w: innerWidth })
    referrer = undefined
  }

  /** Routers touch the history several times per view: only a new cleaned address is a new view. */
  function route() {
    clean() == address || page()
  }

  function look() {
    if (view) return flush()
    if (document.hidden) return
    open()
    if (options.manual == null) {
      page()
      if (window.navigation) navigation.addEventListener('currententrychange', route)
      else setInterval(route, 500)
      addEventListener('pageshow', (event) => event.persisted && page())
    }
    addEventListener('pagehide', flush)
    addEventListener('scroll', measureDepth)
    for (const call of calls) sotto(...(call as [string]))
  }

  const sotto = function (name: string, props?: Props, amount?: number, currency?: string) {
    if (!view) calls.push(arguments)
    else if (name == 'pageview') page(props && (props.u as string))
    else send('x', { n: name, p: props, m$: amount && { a: amount, c: currency } })
  } as Sotto
  sotto.c = +options.consent! || undefined
  sotto.send = send
  sotto.consent = (mask, source) => {
    sotto.c = mask | 1
    send('o', { src: source })
    tell('consent', sotto.c)
  }
  window.sotto = sotto

  try {
    if (
      (options.local == null && /^(localhost|127\..*|\[::1]|)$/.test(location.hostname)) ||
      (options.frame == null && window != top) ||
      localStorage.sotto_ignore
    )
      return
  } catch {} // storage is forbidden: nobody can have opted out in it
  addEventListener('visibilitychange', look)
  // Behind the modules of this file, so that a stored consent is known to the first hit.
  queueMicrotask(look)
}

const script = document.currentScript as HTMLScriptElement | null
const before = window.sotto
if (script && !before?.send) start(script, before?.q || [])
