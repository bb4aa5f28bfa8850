// The click map over the page itself, for who opened the link of the report on clicks.
//
// Fetched by `clicks` for such a link only. It asks Sotto's dashboard for the figures of this page, under the link's own
// signature, and draws them over the elements that they are of, found by the paths that clicks are reported with. It
// shows numbers and words of its own, so that a link of anybody else's making shows wrong numbers at most, and whose.

import { elementPath } from '../element-path'
import { module } from '../module'
import { css } from './style'

interface Figures {
  site: string
  days: string
  /** Rows that stand for fewer visitors are left out. */
  least: number
  clicks: { element: string; clicks: number; repeated: number }[]
  /** Visits with a measurement, and how many reached 25, 50, 75 and 100 per cent of the page. */
  reading?: { measured: number; reached: number[] }
}

/** Classes of windows, by their least width, as they are stored. */
const WIDTHS: [least: number, name: string][] = [[1440, 'xl'], [992, 'lg'], [768, 'md'], [576, 'sm'], [0, 'xs']]
const DEPTHS = [25, 50, 75, 100]

module('_overlay', () => {
  const source = (document.currentScript as HTMLScriptElement).dataset.figures!
  const link = '#sotto-overlay=' + source
  const host = document.createElement('sotto-overlay')
  const shadow = host.attachShadow({ mode: 'open' })
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(css)
  shadow.adoptedStyleSheets = [sheet]

  function make<Name extends keyof HTMLElementTagNameMap>(name: Name, parent: Node, text = '', className = '') {
    const element = document.createElement(name)
    element.textContent = text
    if (className) element.className = className
    parent.appendChild(element)
    return element
  }

  const number = (n: unknown) => (Number(n) || 0).toLocaleString('en')
  const share = (part: number, whole: number) => ((100 * part) / (whole || 1)).toFixed(0) + '%'

  const over = make('div', shadow, '', 'over')
  const panel = make('section', shadow)
  make('h2', panel, 'Click map of this page')
  const status = make('p', panel)
  status.role = 'status'
  const note = make('p', panel)
  const detail = make('p', panel)
  const row = make('div', panel, '', 'row')
  const width = make('select', make('label', row, 'Windows'))
  const here = WIDTHS.findIndex(([least]) => innerWidth >= least)
  const [least, name] = WIDTHS[here]
  const like = here ? `${least} to ${WIDTHS[here - 1][0] - 1} px` : `${least} px and wider`
  make('option', width, 'of all widths').value = ''
  make('option', width, 'like this one: ' + like).value = name
  const toggle = make('label', row)
  const reading = make('input', toggle)
  reading.type = 'checkbox'
  make('span', toggle, 'How far the page is read')
  const close = make('button', row, 'Close')

  /** What is drawn, and where: of an element, or at a share of the page's height. */
  let drawn: [mark: HTMLElement, at: Element | number][] = []
  let figures: Figures | undefined
  let asked = 0

  /** Puts every mark where its element is now. */
  function place() {
    for (const [mark, at] of drawn) {
      if (typeof at == 'number') {
        mark.style.transform = `translate(0,${at * document.documentElement.scrollHeight - 2 - scrollY}px)`
        continue
      }
      const box = at.getBoundingClientRect()
      mark.hidden = !box.width || !box.height
      mark.classList.toggle('low', box.y < 20)
      mark.style.cssText = `transform:translate(${box.x}px,${box.y}px);width:${box.width}px;height:${box.height}px;--heat:${mark.dataset.heat}`
    }
  }

  function draw() {
    over.replaceChildren()
    drawn = []
    if (!figures) return
    const { clicks, reading: read } = figures
    if (reading.checked)
      DEPTHS.forEach((depth, n) => {
        if (!read?.measured) return
        const line = make('div', over, '', 'line')
        make('b', line, `${share(read.reached[n], read.measured)} of ${number(read.measured)} visits came to ${depth}% of the page`)
        drawn.push([line, depth / 100])
      })
    else {
      const places = new Map<string, Element>()
      for (const element of document.body.querySelectorAll('*')) {
        const path = elementPath(element)
        if (!places.has(path)) places.set(path, element)
      }
      const all = clicks.reduce((sum, row) => sum + row.clicks, 0)
      const most = Math.max(...clicks.map((row) => row.clicks))
      let lost = 0
      for (const { element, clicks: times, repeated } of clicks) {
        const place = places.get(element)
        if (!place) {
          lost += times
          continue
        }
        const box = make('div', over, '', 'box')
        box.dataset.heat = (0.08 + (0.4 * times) / most).toFixed(2)
        box.title = `${element}: ${number(times)} clicks, ${share(times, all)} of all; clicked repeatedly in ${number(repeated)} page view${repeated == 1 ? '' : 's'}`
        make('b', box, `${number(times)} · ${share(times, all)}`)
        drawn.push([box, place])
      }
      say(`${number(all)} clicks on ${number(clicks.length)} elements, ${figures.days}`)
      note.textContent =
        (lost ? `${number(lost)} clicks were on elements that are not on the page now. ` : '') +
        (figures.least ? `Elements that fewer than ${number(figures.least)} visitors clicked are left out. ` : '') +
        `Figures from ${new URL(source).host}.`
    }
    if (reading.checked) say(read?.measured ? `${number(read.measured)} visits, ${figures.days}` : `Nothing was measured, ${figures.days}`)
    place()
  }

  const say = (text: string) => (status.textContent = text)

  /** Asks for the figures of the page that is shown now; only the latest answer counts. */
  async function ask() {
    const turn = ++asked
    figures = undefined
    draw()
    say('…')
    note.textContent = detail.textContent = ''
    try {
      const question = new URLSearchParams({ page: location.pathname, screen: width.value })
      const answer = await fetch(`${source}?${question}`, { credentials: 'omit', referrerPolicy: 'no-referrer' })
      const told = answer.ok && ((await answer.json()) as Figures)
      if (turn != asked) return
      if (!told) return void say(answer.status == 404 ? 'This link has ended: open a new one.' : 'No figures now. Try again in a moment.')
      figures = told
      draw()
    } catch {
      if (turn == asked) say('The figures cannot be fetched: Sotto cannot be reached, or connect-src of this page forbids it.')
    }
  }

  /**
   * Links within the site keep the click map open, if the browser itself follows them: a router would show the link in the
   * address, and a tag with `data-hash` would report it.
   */
  const follow = (event: MouseEvent) => {
    const target = (event.target as Element).closest?.<HTMLAnchorElement>('a[href]')
    if (event.defaultPrevented || target?.origin != location.origin || target.hash || document.querySelector('script[data-hash]')) return
    target.hash = link
    setTimeout(() => (target.hash = ''))
  }
  /** What lies below others comes forward, and is told in full. */
  const point = ({ target }: Event) => {
    const over = drawn.filter(([, at]) => typeof at != 'number' && at.contains(target as Element)).pop()
    drawn.map((each) => each[0].classList.toggle('on', each == over))
    if (over) detail.textContent = over[0].title
  }
  const keys = (event: KeyboardEvent) => event.key == 'Escape' && end()
  const frame = () => requestAnimationFrame(place)
  const route = (event: Event) => {
    if ((event as CustomEvent).detail !== 1) return
    if (location.hash == link) history.replaceState(history.state, '', '#')
    ask()
  }

  const ended = new AbortController()
  function end() {
    host.remove()
    clearInterval(timer)
    ended.abort()
  }

  width.onchange = ask
  reading.onchange = draw
  close.onclick = end
  const listeners = { resize: frame, scroll: frame, keydown: keys, click: follow, mouseover: point, 'sotto:flush': route }
  for (const [name, listener] of Object.entries(listeners))
    addEventListener(name, listener as EventListener, { capture: name == 'scroll', signal: ended.signal })
  // What opens, closes and moves without a scroll.
  const timer = setInterval(frame, 500)
  document.documentElement.append(host)
  ask()
})
