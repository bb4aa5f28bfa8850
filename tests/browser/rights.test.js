// The visitor's own page and the way to it from a website, in a real browser against the real program.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import { inChromiumAgainstSotto } from './support/real.js'

const against = inChromiumAgainstSotto()
const pictures = join(import.meta.dirname, 'test-results')
const SITE = '127.0.0.1'
const stored = (sotto, key, what, enough) => sotto.rows(key, what, enough)

/** A website with our banner, whose visitor agreed to everything and looked at two pages. */
async function agreed({ sotto, site, newContext, tag }, context = {}) {
  const key = await sotto.addSite(SITE)
  site.tag(tag(key, ['banner', 'visitor'], 'data-lang="en"'))
  const browser = await newContext({ locale: 'en-GB', ...context })
  const page = await browser.newPage()
  await page.goto(site.origin + '/first')
  await page.getByRole('button', { name: 'Accept all' }).click()
  await page.goto(site.origin + '/second')
  await stored(sotto, key, 'the second page', (rows) => rows.some((row) => row.path == '/second' && row.returning > 0))
  return { key, browser, page }
}

async function toTheirData(page, browser) {
  await page.getByRole('button', { name: 'Privacy settings' }).click()
  const [opened] = await Promise.all([browser.waitForEvent('page'), page.getByRole('link', { name: 'Your data' }).click()])
  await opened.waitForURL((url) => url.pathname == '/privacy' && !url.hash)
  return opened
}

against('visitor_comes_from_the_banner_sees_takes_along_and_erases', async (world) => {
  const { key, browser, page } = await agreed(world)
  const mine = await toTheirData(page, browser)
  await mine.getByRole('cell', { name: '127.0.0.1/second' }).first().waitFor()
  assert.ok(!mine.url().includes('#'), 'the number is not left in the address')
  assert.equal(await mine.getByRole('row', { name: /essential, preferences, analytics, marketing/ }).count(), 1, 'the decision under the receipt')
  const [download] = await Promise.all([mine.waitForEvent('download'), mine.getByRole('button', { name: 'Take it with you' }).click()])
  const file = JSON.parse(await readFile(await download.path(), 'utf8'))
  assert.ok(file.number.events.some((event) => event.path == '/second'))
  assert.equal(file.receipts.length, 1)
  await mine.getByRole('button', { name: 'Erase what is held under my number' }).click()
  await mine.getByRole('status').filter({ hasText: /Erased: \d+\. .*Receipt of the erasure: [0-9a-f]{16}/ }).waitFor()
  const rows = await stored(world.sotto, key, 'the rows', () => true)
  assert.deepEqual(rows.filter((row) => row.kind != 'consent'), [], 'only the receipt is left')
})

against('withdrawal_in_the_banner_offers_erasure_and_does_it', async (world) => {
  const { key, page } = await agreed(world)
  await page.getByRole('button', { name: 'Privacy settings' }).click()
  await page.getByRole('button', { name: 'Reject all' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('has forgotten its number').waitFor()
  assert.equal(await page.evaluate(() => localStorage.sotto_visitor), undefined)
  const axe = await new AxeBuilder({ page }).include('dialog').analyze().catch(() => undefined)
  assert.deepEqual(axe?.violations.map((v) => v.id) ?? [], [])
  await dialog.getByRole('button', { name: 'Erase' }).click()
  await dialog.getByText(/Erased\. Receipt: [0-9a-f]{16}/).waitFor()
  const rows = await stored(world.sotto, key, 'the rows', () => true)
  assert.deepEqual(rows.filter((row) => row.returning > 0), [])
  await dialog.getByRole('button', { name: 'Close' }).click()
  assert.equal(await page.getByRole('dialog').count(), 0)
})

against('refusal_without_a_number_offers_nothing_to_erase', async ({ sotto, site, newContext, tag }) => {
  const key = await sotto.addSite(SITE)
  site.tag(tag(key, ['banner', 'visitor'], 'data-lang="en"'))
  const page = await (await newContext()).newPage()
  await page.goto(site.origin + '/')
  await page.getByRole('button', { name: 'Reject all' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

against('address_with_sotto_consent_opens_the_banner', async (world) => {
  const { page } = await agreed(world)
  await page.goto(world.site.origin + '/second#sotto-consent')
  await page.getByRole('dialog', { name: 'Your privacy' }).waitFor()
})

against('link_of_a_policy_brings_the_number_along_with_the_module_rights', async ({ sotto, site, newContext, tag }) => {
  const key = await sotto.addSite(SITE)
  site.tag(tag(key, ['rights', 'visitor'], 'data-consent="5"'))
  site.page('/policy', { body: '<main><p><a href="#" data-sotto-privacy>Your data</a></p></main>' })
  const page = await (await newContext()).newPage()
  await page.goto(site.origin + '/policy')
  await stored(sotto, key, 'the page', (rows) => rows.some((row) => row.returning > 0))
  await page.getByRole('link', { name: 'Your data' }).click()
  await page.getByRole('cell', { name: '127.0.0.1/policy' }).first().waitFor()
  await page.goto(site.origin + '/policy')
  const done = await page.evaluate(async () => {
    window.sotto.consent(1)
    return window.sotto.erase()
  })
  assert.match(done.receipt, /^[0-9a-f]{16}$/)
  assert.ok(done.erased >= 1, JSON.stringify(done))
})

against('page_works_without_javascript', async ({ sotto, newContext }) => {
  const key = await sotto.addSite(SITE)
  const page = await (await newContext({ javaScriptEnabled: false, locale: 'de-DE' })).newPage()
  await page.goto(`${sotto.url}/privacy?s=${key}`)
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Ihre Daten auf 127.0.0.1')
  await page.getByText('Ich habe eine Zahl oder einen Beleg').click()
  await page.getByLabel('Zahl Ihres Browsers', { exact: true }).fill('aaaaaaaaaaaa')
  await page.getByRole('button', { name: 'Zeigen' }).click()
  await page.getByText('Unter dieser Zahl ist nichts gespeichert.').waitFor()
  await page.getByRole('link', { name: 'en', exact: true }).click()
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Your data on 127.0.0.1')
})

for (const colorScheme of ['light', 'dark'])
  for (const width of [375, 1440])
    against(`axe_finds_nothing_in_${colorScheme}_at_${width}`, async (world) => {
      const { browser, page } = await agreed(world, { colorScheme, viewport: { width, height: 900 } })
      const mine = await toTheirData(page, browser)
      await mine.getByRole('cell', { name: '127.0.0.1/second' }).first().waitFor()
      const { violations } = await new AxeBuilder({ page: mine }).withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
      assert.deepEqual(violations.map((v) => [v.id, v.nodes.map((n) => n.target)]), [])
      const overflow = await mine.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(overflow <= 0, `${overflow} px too wide`)
      mkdirSync(pictures, { recursive: true })
      await mine.screenshot({ path: join(pictures, `rights-${colorScheme}-${width}.png`), fullPage: true })
    })
