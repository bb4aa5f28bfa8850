// Paths, funnels and what happens now in a browser: moving along paths, adding a funnel, watching, and the pages' accessibility.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { PERSON, startSotto, until } from './support/sotto.js'
import { check } from './support/accessible.js'
import { executablePath, launchArguments } from './support/world.js'

/** The visits: their pages one after the other, and the name of an event at the end. */
const VISITS = [
  [['/', '/prices', '/contact'], 'Message'],
  [['/', '/prices', '/']],
  [['/', '/a/page/with/a/long/path/that/does/not/fit/on/a/phone/at/all']],
]
let browser, sotto, page, site, send

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
  page = await (await browser.newContext()).newPage()
  await page.goto(sotto.setUp)
  await page.fill('[name=email]', 'owner@shop.example')
  await page.fill('[name=password]', 'correct horse battery')
  await page.fill('[name=name]', 'Shop')
  await page.fill('[name=hostname]', 'shop.example')
  await page.click('main form .button')
  const [{ key }] = JSON.parse(await sotto.cli('site', 'list', '--json'))
  site = `${sotto.url}/s/${key}`
  send = async (visitor, hit) => {
    const headers = { 'user-agent': `${PERSON} ${visitor}` }
    const answer = await fetch(`${sotto.url}/e`, { method: 'POST', headers, body: JSON.stringify({ v: 1, s: key, ...hit }) })
    assert.equal(answer.status, 204)
  }
  for (const [visitor, [paths, event]] of VISITS.entries()) {
    for (const [n, path] of paths.entries()) await send(visitor, { k: 'p', i: `v${visitor}${n}`, q: 0, u: 'https://shop.example' + path })
    if (event) await send(visitor, { k: 'x', i: `v${visitor}${paths.length - 1}`, q: 1, n: event })
  }
  await until('the hits', async () => {
    const [row] = JSON.parse(await sotto.cli('report', key, '--metrics', 'pageviews,events', '--json'))
    return row.pageviews == 8 && row.events == 1
  })
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

test('row_of_a_path_moves_to_the_paths_around_its_page', async () => {
  await page.goto(site)
  await page.getByRole('link', { name: 'Paths' }).click()
  await page.waitForURL(/\/paths/)
  assert.equal(await page.getByLabel('Paths around the page').inputValue(), '/')
  await page.getByRole('region', { name: 'After' }).getByRole('link', { name: '/prices' }).click()
  await page.waitForURL(/page=\/prices/)
  assert.equal(await page.getByLabel('Paths around the page').inputValue(), '/prices')
  const rows = await page.getByRole('region', { name: 'After' }).locator('tbody tr').allInnerTexts()
  assert.deepEqual(rows.map((row) => row.trim().split(/\s+/)), [['/', '1', '1', '50%'], ['/contact', '1', '1', '50%']])
  await page.getByRole('link', { name: /Compar/ }).click()
  await page.waitForURL(/cmp=none/)
  assert.equal(await page.getByLabel('Paths around the page').inputValue(), '/prices', 'the page stays')
})

test('funnel_that_is_typed_is_counted_and_its_leavers_lead_to_paths', async () => {
  await page.goto(`${site}/funnels`)
  await page.getByLabel('Name', { exact: true }).fill('Message')
  await page.getByLabel('Path or name of step 1').fill('/')
  await page.getByLabel('Path or name of step 2').fill('/prices')
  await page.getByLabel('Step 3 is').selectOption('event')
  await page.getByLabel('Path or name of step 3').fill('Message')
  await page.getByRole('button', { name: 'Add the funnel' }).click()
  await page.getByRole('link', { name: 'Message' }).click()
  await page.waitForURL(/\/funnels\/\d+/)
  await page.getByRole('heading', { name: '33.3% reach the last step' }).waitFor()
  await page.getByRole('region', { name: /Left after step 1/ }).getByRole('link').click()
  await page.waitForURL(/\/paths\?page=\/a\/page/)
})

test('paths_and_funnels_are_accessible_in_both_themes_and_on_phones', async () => {
  await page.goto(`${site}/funnels`)
  await check(page, 'funnels')
  await page.getByRole('link', { name: 'Message' }).click()
  await page.waitForURL(/\/funnels\/\d+/)
  await check(page, 'funnel')
  for (const [name, path] of [
    ['paths', '/paths'],
    ['paths-filtered', '/paths?f=page:is:/prices&page=/'],
    ['paths-of-nothing', '/paths?page=/nothing'],
  ]) {
    await page.goto(site + path)
    await check(page, name)
  }
})

test('hours_of_the_week_add_up_to_the_pageviews_of_the_period', async () => {
  await page.goto(site)
  await page.getByRole('link', { name: 'Hours' }).click()
  await page.waitForURL(/\/hours/)
  await page.getByRole('link', { name: 'Pageviews' }).click()
  await page.waitForURL(/m=pageviews/)
  const figures = await page.locator('.heat td').allInnerTexts()
  assert.equal(figures.length, 7 * 24)
  const told = await page.locator('.heat td[title]').evaluateAll((cells) => cells.map((cell) => parseInt(cell.title.split(': ')[1])))
  assert.equal(told.reduce((sum, n) => sum + n, 0), 8)
  await check(page, 'hours')
  await page.goto(`${site}/hours?f=country:is:IS`)
  await page.getByText('Nothing was counted in these days.').waitFor()
})

test('page_of_what_happens_now_shows_a_new_hit_by_itself_and_keeps_what_was_opened', async () => {
  await page.goto(site)
  await page.getByRole('link', { name: /now$/ }).click()
  await page.waitForURL(/\/now$/)
  const pages = page.getByRole('region', { name: 'Pages' })
  await pages.getByText('/prices').waitFor()
  await page.getByText('Show as table').click()
  await send(9, { k: 'p', i: 'v90', q: 0, u: 'https://shop.example/just-now' })
  await pages.getByRole('link', { name: '/just-now' }).waitFor()
  assert.ok(await page.locator('details[open] table').isVisible(), 'the table stays open')
  assert.equal(await page.locator('details[open] tbody tr').count(), 30)
  await check(page, 'now')
  await pages.getByRole('link', { name: '/just-now' }).click()
  await page.waitForURL(/p=today/)
  await page.getByRole('link', { name: /filter Page is \/just-now/i }).waitFor()
})

test('page_of_what_happens_now_loads_itself_again_without_javascript', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, storageState: await page.context().storageState() })
  const plain = await context.newPage()
  await plain.goto(`${site}/now`)
  await plain.getByRole('region', { name: 'Pages' }).getByText('/prices').waitFor()
  assert.equal(await plain.locator('meta[http-equiv=refresh]').getAttribute('content'), '30')
  await context.close()
})
