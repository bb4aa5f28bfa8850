import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { valid } from './wire.js'
import { startCollector } from './collector.js'
import { startSite } from './site.js'

export const executablePath = process.env.CHROMIUM || '/usr/bin/chromium'
export const launchArguments = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * Starts one browser for the file. The function returned declares a test that gets a world of its own:
 * a website, a collector on another origin, and a browser context.
 */
export function inChromium({ args = [] } = {}) {
  let browser
  before(async () => {
    browser = await chromium.launch({
      executablePath,
      args: [...launchArguments, ...args],
      // Playwright turns the back/forward cache off, which visitors have on.
      ignoreDefaultArgs: ['--disable-back-forward-cache'],
    })
  })
  after(() => browser?.close())

  return (name, run) =>
    test(name, { timeout: 60_000 }, async () => {
      const [site, collector] = await Promise.all([startSite(), startCollector()])
      const context = await browser.newContext()
      const errors = []
      context.on('weberror', (error) => errors.push(String(error.error())))
      const world = {
        site,
        collector,
        context,
        /** Uncaught exceptions of all pages. */
        errors,
        /** Set by the tests that send more than the wire allows; all others may only send valid hits. */
        anyHit: false,
        newPage: () => context.newPage(),
        /** Puts the tag on all pages. */
        install(attributes = '', modules = []) {
          site.tag(tag(collector.origin, attributes, modules))
        },
        tag: (attributes = '', modules = []) => tag(collector.origin, attributes, modules),
        /**
         * Sends a custom event and waits until every hit before it has arrived, so that a test can
         * say what did *not* come without waiting for a fixed time.
         */
        async settled(page) {
          await page.evaluate(() => window.sotto('settled'))
          const last = await collector.hit('settled event', (hit) => hit.n == 'settled')
          await collector.until('gapless sequence', () => {
            const seen = new Set(collector.hits().filter((hit) => hit.i == last.i).map((hit) => hit.q))
            return seen.size > last.q
          })
          return collector.hits().filter((hit) => hit.n != 'settled')
        },
      }
      world.install()
      try {
        await run(world)
        for (const { hit, body } of world.anyHit ? [] : collector.received)
          assert.ok(valid(hit), `not of the wire format: ${body.slice(0, 300)} ${JSON.stringify(valid.errors?.slice(0, 3))}`)
      } finally {
        await context.close()
        await Promise.all([site.close(), collector.close()])
      }
    })
}

function tag(origin, attributes, modules) {
  return `<script defer src="${origin}/${['s', ...modules, 'js'].join('.')}" data-site="k7f3" data-local ${attributes}></script>`
}

/** Makes every document of the page hidden from its start, until `show` is called on the page. */
export async function hideFromStart(page) {
  await page.addInitScript(() => {
    let hidden = true
    Object.defineProperty(document, 'hidden', { get: () => hidden })
    Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') })
    window.setHidden = (value) => {
      hidden = value
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
    }
  })
}

/** Goes back to the document before this one. The call returns before the page is left, as its context ends with it. */
export const back = (page) => page.evaluate(() => void setTimeout(() => history.back()))

/**
 * Says whether the document at `path` came from the back/forward cache; the page keeps `persisted` in `window.restored`.
 * Hits of a restored page may arrive before the browser's driver knows of it, so this waits for the document.
 */
export async function restored(page, path) {
  // As text, which both drivers take in the same place.
  const handle = await page.waitForFunction(
    `location.pathname == ${JSON.stringify(path)} && 'restored' in window && { restored: window.restored }`,
  )
  return (await handle.jsonValue()).restored
}
