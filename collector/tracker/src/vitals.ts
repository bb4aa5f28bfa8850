// Core Web Vitals of the document's first view, by the web-vitals library.
//
// LCP, CLS and INP grow while the page lives, so the latest values go out whenever the view is left; the
// server takes the last. A router's next view has no values of its own: reporting stops there.

import { onCLS, onFCP, onINP, onLCP, onTTFB, type Metric } from 'web-vitals'
import { beforeLeaving, module, savesData } from './module'

module('_vitals', (sotto) => {
  if (savesData()) return
  const latest: Record<string, number> = {}
  let changed: boolean | undefined
  let over: boolean

  const take = ({ name, value }: Metric) => {
    latest[name] = name == 'CLS' ? Math.round(value * 1e4) / 1e4 : Math.round(value)
    changed = true
  }
  const options = { reportAllChanges: true }
  onTTFB(take)
  onFCP(take)
  onLCP(take, options)
  onCLS(take, options)
  onINP(take, options)

  beforeLeaving((ending) => {
    if (changed && !over) sotto.send('w', { m: latest })
    changed = false
    over ||= ending
  })
})
