// A consent banner for sites without a consent manager.
//
// On the tag: data-policy="/privacy" (link), data-policy-version="3" (a new one asks again),
// data-categories="analytics marketing" (what the site uses; all by default), data-lang.
// In the page: any element with data-sotto-consent opens it again; without one a small button is shown.
//
// It is no wall: the page stays usable beside it. Escape inside it refuses. Nothing is ticked in advance.

import { module } from '../module'
import { rights } from '../privacy'
import { Consent } from '../sotto'
import { store, stored, type Choice } from './choice'
import { css } from './style'
import { texts } from './texts'

const CATEGORIES = [Consent.Essential, Consent.Preference, Consent.Analytics, Consent.Marketing]
const NAMES = ['essential', 'preference', 'analytics', 'marketing']

rights()

module('_banner', (sotto) => {
  const options = (document.currentScript as HTMLElement | null)?.dataset || {}
  const version = (options.policyVersion || '1').slice(0, 32)
  const used = (options.categories || NAMES.join(' ')).split(/\W+/)
  const gpc = !!navigator.globalPrivacyControl
  const offered = CATEGORIES.filter((category, n) => category == Consent.Essential || used.includes(NAMES[n]))
  const most = offered.reduce((mask: number, category) => mask | category, 0) & (gpc ? ~Consent.Marketing : ~0)
  const language = [options.lang, document.documentElement.lang, navigator.language, 'en']
    .map((tag) => (tag || '').slice(0, 2).toLowerCase())
    .find((tag) => texts[tag])!
  const words = texts[language]

  let choice: Choice | undefined = stored(version)
  let shadow: ShadowRoot
  let dialog: HTMLDialogElement | undefined
  let opener: Element | null

  /** Google's Consent Mode v2, for tags of others that listen to it. */
  function signal(command: string, mask: number, more?: object) {
    const say = (category: number) => (mask & category ? 'granted' : 'denied')
    const layer = ((window as any).dataLayer ||= [])
    const gtag = function (..._command: unknown[]) {
      layer.push(arguments)
    }
    gtag('consent', command, {
      security_storage: 'granted',
      functionality_storage: say(Consent.Preference),
      personalization_storage: say(Consent.Preference),
      analytics_storage: say(Consent.Analytics),
      ad_storage: say(Consent.Marketing),
      ad_user_data: say(Consent.Marketing),
      ad_personalization: say(Consent.Marketing),
      ...more,
    })
  }

  function decide(mask: number) {
    const withdrawn = sotto.y && !(mask & Consent.Analytics)
    choice = store(mask & most, version)
    sotto.c = choice.mask
    // Not sotto.consent: the receipt goes with the decision.
    sotto.send('o', { src: 'banner', rc: { i: choice.receipt, v: version, l: language, g: gpc ? 1 : undefined } })
    dispatchEvent(new CustomEvent('sotto:consent', { detail: choice.mask }))
    signal('update', choice.mask)
    if (withdrawn) offer()
    else close()
  }

  /** Analytics was withdrawn: the number is gone from this browser, and what lies under it can be erased, too. */
  function offer() {
    const said = element('p', { role: 'status', tabindex: '-1' }, words.withdrawn)
    const buttons = element(
      'div',
      {},
      button(words.erase, async () => {
        buttons.remove()
        const done = await sotto.erase!().catch(() => undefined)
        said.textContent = done?.receipt ? `${words.erased} ${words.receipt}: ${done.receipt}` : words.failed
        dialog?.append(element('div', {}, ...(done?.receipt ? [] : [data()]), button(words.close, close)))
        said.focus()
      }),
      button(words.close, close),
    )
    dialog?.replaceChildren(said, buttons)
    said.focus()
  }

  /** The visitor's own page at the collector. */
  function data() {
    const link = element('a', { href: sotto.privacy!(), target: '_blank', rel: 'noopener' }, words.data)
    // The id may have come or gone since.
    link.addEventListener('click', () => (link.href = sotto.privacy!()))
    return link
  }

  function element<K extends keyof HTMLElementTagNameMap>(
    name: K,
    attributes: Record<string, string> = {},
    ...children: (Node | string)[]
  ): HTMLElementTagNameMap[K] {
    const made = document.createElement(name)
    for (const attribute in attributes) made.setAttribute(attribute, attributes[attribute])
    made.append(...children)
    return made
  }

  function button(text: string, act: () => void, attributes?: Record<string, string>) {
    const made = element('button', { type: 'button', ...attributes }, text)
    made.addEventListener('click', act)
    return made
  }

  function close() {
    dialog?.remove()
    dialog = undefined
    document.documentElement.style.scrollPaddingBottom = ''
    reachable()
    const back = opener?.isConnected ? opener : shadow.querySelector('.reopen')
    if (back instanceof HTMLElement) back.focus()
  }

  /** Withdrawing has to be as easy as consenting: there is always something to open the settings with. */
  function reachable() {
    if (document.querySelector('[data-sotto-consent]') || shadow.querySelector('.reopen')) return
    shadow.append(button(words.reopen, open, { class: 'reopen' }))
  }

  function open() {
    if (dialog) return
    opener = shadow.activeElement || document.activeElement
    const boxes = offered.map((category) => {
      const box = element('input', { type: 'checkbox' })
      const essential = category == Consent.Essential
      const forbidden = gpc && category == Consent.Marketing
      box.checked = essential || !!(choice && choice.mask & category)
      box.disabled = essential || forbidden
      const [name, description] = words.categories[CATEGORIES.indexOf(category)]
      return { category, box, row: element('label', {}, box, element('span', {}, element('b', {}, name), ` – ${forbidden ? words.gpc : description}`)) }
    })
    const chosen = () => boxes.reduce((mask, { category, box }) => (box.checked ? mask | category : mask), 0)
    const title = element('h2', { id: 't', tabindex: '-1', autofocus: '' }, words.title)
    const text = element('p', { id: 'd' }, words.text + ' ')
    if (options.policy) text.append(element('a', { href: options.policy }, words.policy))
    const details = element(
      'details',
      {},
      element('summary', {}, words.choose),
      ...boxes.map(({ row }) => row),
      element('div', {}, button(words.save, () => decide(chosen()))),
    )
    details.open = !!choice
    dialog = element(
      'dialog',
      { lang: language, 'aria-labelledby': 't', 'aria-describedby': 'd' },
      title,
      text,
      element('div', {}, button(words.reject, () => decide(Consent.Essential)), button(words.accept, () => decide(most))),
      details,
    )
    dialog.append(element('p', {}, data()))
    if (choice) dialog.append(element('small', {}, `${words.receipt}: ${choice.receipt}, ${choice.day}`))
    dialog.addEventListener('keydown', (event) => {
      // Opened again, Escape leaves the choice as it stands.
      if (event.key == 'Escape') choice ? close() : decide(Consent.Essential)
    })
    shadow.querySelector('.reopen')?.remove()
    shadow.append(dialog)
    dialog.show()
    title.focus()
    // What has the focus in the page must not be hidden behind the banner.
    document.documentElement.style.scrollPaddingBottom = dialog.offsetHeight + 'px'
  }

  function mount() {
    const host = element('div')
    shadow = host.attachShadow({ mode: 'open' })
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(css)
    shadow.adoptedStyleSheets = [sheet]
    document.body.prepend(host)
    document.addEventListener('click', (event) => {
      if (!(event.target as Element).closest?.('[data-sotto-consent]')) return
      event.preventDefault()
      open()
    })
    choice ? reachable() : open()
    const asked = () => location.hash == '#sotto-consent' && open()
    addEventListener('hashchange', asked)
    asked()
  }

  if (choice) {
    // Global Privacy Control may have been switched on since.
    choice.mask &= most
    sotto.consent(choice.mask, 'banner')
  }
  signal('default', 0, choice ? undefined : { wait_for_update: 500 })
  if (choice) signal('update', choice.mask)
  if (document.body) mount()
  else addEventListener('DOMContentLoaded', mount)
})
