// Plausible's tag and `plausible()`. Variants of its file name say what else is wanted; the server adds what they need.

import { pageview, say, silence, stored, translated } from './tag'

type Options = { props?: object; revenue?: { amount?: unknown; currency?: unknown }; u?: string; url?: string; callback?: (answer: object) => void }
type Plausible = { (name: string, options?: Options): void; q?: IArguments[] }

const tag = translated('../')
if (tag) {
  for (const variant of ['hash', 'manual', 'local']) if (new URL(tag.src).pathname.includes('.' + variant)) tag.dataset[variant] = ''
  const page = window as { plausible?: Plausible }
  const early = page.plausible?.q || []
  const plausible: Plausible = (name, { props, revenue, u, url, callback } = {}) => {
    if (name == 'pageview') pageview(u || url)
    else say(name, props, revenue?.amount, revenue?.currency)
    if (callback) setTimeout(callback, 0, { status: 202 })
  }
  page.plausible = Object.assign(plausible, { init() {} })
  if (stored('plausible_ignore') == 'true') silence()
  for (const call of early) plausible(...(Array.from(call) as [string]))
}
