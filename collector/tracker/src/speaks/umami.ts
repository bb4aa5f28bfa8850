// Umami's tag, `umami.track()` and `data-umami-event`. `umami.identify()` does nothing: visitors are not told apart so.

import { pageview, say, silence, stored, translated } from './tag'

type Payload = { name?: string; data?: object; url?: string }

const tag = translated('')
if (tag) {
  const { dataset } = tag
  if (dataset.autoTrack == 'false') dataset.manual = ''
  const elsewhere = dataset.domains && !dataset.domains.split(',').some((host) => host.trim() == location.hostname)
  if (elsewhere || stored('umami.disabled') || (dataset.doNotTrack == 'true' && navigator.doNotTrack == '1')) silence()

  const event = (name: unknown, data?: object) => {
    const { revenue, currency, ...props } = (data || {}) as { revenue?: unknown; currency?: unknown }
    if (revenue && currency) say(name, props, revenue, currency)
    else say(name, data)
  }
  const track = async (what?: unknown, data?: object) => {
    if (typeof what == 'string') return event(what, data)
    const own = { url: location.href, hostname: location.hostname, title: document.title, referrer: document.referrer }
    const payload = (typeof what == 'function' ? what(own) : what) as Payload | undefined
    if (payload?.name) event(payload.name, payload.data)
    else pageview(payload?.url)
  }
  Object.assign(window, { umami: { track, identify: async () => {} } })
  addEventListener('click', ({ target }) => {
    const tagged = (target as Element).closest?.<HTMLElement>('[data-umami-event]')
    if (!tagged) return
    const props: Record<string, string> = {}
    for (const [key, value] of Object.entries(tagged.dataset)) if (/^umamiEvent./.test(key)) props[key.slice(10).toLowerCase()] = value!
    event(tagged.dataset.umamiEvent, props)
  })
}
