// GoatCounter's tag, `goatcounter.count()` and `data-goatcounter-click`.

import { pageview, say, silence, stored, translated } from './tag'

type Path = string | ((usual: string) => string | null) | undefined
type Settings = { path?: Path; event?: boolean; title?: string; no_onload?: boolean; no_events?: boolean; allow_local?: boolean; allow_frame?: boolean }

const tag = translated('')
if (tag) {
  const { dataset } = tag
  const page = window as { goatcounter?: Settings }
  const settings: Settings = { ...page.goatcounter }
  try {
    Object.assign(settings, JSON.parse(dataset.goatcounterSettings || '{}'))
  } catch {} // what is no JSON sets nothing
  dataset.manual = ''
  if (settings.allow_local) dataset.local = ''
  if (settings.allow_frame) dataset.frame = ''
  if (stored('skipgc') == 't') silence()

  const count = (what: Settings = {}) => {
    const { path, event } = { ...settings, ...what }
    const canonical = document.querySelector<HTMLLinkElement>('link[rel="canonical"][href]')?.href
    const usual = canonical && new URL(canonical).host == location.host ? canonical : location.href
    const named = typeof path == 'function' ? path(usual) : path || usual
    if (named == null) return
    if (event) say(named)
    else pageview(named)
  }
  page.goatcounter = Object.assign(settings, { count, bind_events() {}, filter: () => false })
  if (!settings.no_onload) count()
  if (!settings.no_events)
    addEventListener('click', ({ target }) => {
      const named = (target as Element).closest?.<HTMLElement>('[data-goatcounter-click]')
      if (named) count({ path: named.dataset.goatcounterClick || named.getAttribute('name') || named.id, event: true })
    })
}
