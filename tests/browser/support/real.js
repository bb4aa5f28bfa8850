import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { startSite } from './site.js'
import { PERSON, startSotto } from './sotto.js'
import { executablePath, launchArguments } from './world.js'

/**
 * Like `inChromium`, against the real program: one for the file, and for every test a website and a browser context of
 * its own. Adding a site takes a moment, so a test adds those that it needs.
 */
export function inChromiumAgainstSotto({ args = [], context: options = {}, config } = {}) {
  let browser, sotto
  before(async () => {
    ;[sotto, browser] = await Promise.all([
      startSotto(config),
      chromium.launch({
        executablePath,
        args: [...launchArguments, '--disable-blink-features=AutomationControlled', ...args],
        ignoreDefaultArgs: ['--disable-back-forward-cache'],
      }),
    ])
  })
  after(async () => {
    await browser?.close()
    await sotto?.stop()
  })
  return (name, run) =>
    test(name, { timeout: 180_000 }, async () => {
      const site = await startSite()
      const contexts = []
      async function newContext(more) {
        const context = await browser.newContext({ userAgent: PERSON, locale: 'de-DE', ...options, ...more })
        contexts.push(context)
        return context
      }
      const tag = (key, modules = [], attributes = '') =>
        `<script defer src="${sotto.url}/${['s', ...modules, 'js'].join('.')}" data-site="${key}" data-local ${attributes}></script>`
      try {
        await run({ sotto, site, newContext, tag })
      } finally {
        for (const context of contexts) await context.close()
        await site.close()
      }
    })
}

/** What a test found out, printed as a table when the file is done. */
export function matrix(title) {
  const rows = new Map()
  after(() => {
    const columns = [...new Set([...rows.values()].flatMap((row) => [...row.keys()]))]
    const width = Math.max(...[...rows.keys()].map((name) => name.length)) + 2
    const line = (name, cells) => name.padEnd(width) + cells.map((cell) => cell.padEnd(16)).join('')
    console.log([title, line('', columns), ...[...rows].map(([name, row]) => line(name, columns.map((column) => row.get(column) ?? '-')))].join('\n'))
  })
  return (row, column, text = 'ok') => {
    if (!rows.has(row)) rows.set(row, new Map())
    rows.get(row).set(column, text)
  }
}
