// From a click, a scroll and an event on a real page, by the script, to the pages that show them; and how those pages look.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const HOST = 'shop.example'
const BODY = '<main><h1>Shop</h1><button id="buy">Buy</button><p>' + 'and more<br>'.repeat(400) + '</p></main>'
let browser, sotto, site, key, owner

before(async () => {
  ;[sotto, site, browser] = await Promise.all([
    startSotto(),
    startSite(),
    chromium.launch({
      executablePath,
      args: [...launchArguments, '--disable-blink-features=AutomationControlled', '--host-resolver-rules=MAP *.example 127.0.0.1'],
    }),
  ])
  owner = await (await browser.newContext()).newPage()
  await owner.goto(sotto.setUp)
  await owner.fill('[name=email]', 'owner@shop.example')
  await owner.fill('[name=password]', 'correct horse battery')
  await owner.fill('[name=hostname]', HOST)
  await Promise.all([owner.waitForURL(/\/install/), owner.click('main form .button')])
  key = /\/s\/(\w+)\/install/.exec(owner.url())[1]
})
after(async () => {
  await browser?.close()
  await Promise.all([site?.close(), sotto?.stop()])
})

/** Cells of the row of a table with that label. */
const row = (label) =>
  owner.locator('tbody tr', { has: owner.getByRole('rowheader', { name: label, exact: true }) }).locator('td').allTextContents()

test('what_was_done_on_a_page_is_on_the_pages_about_it', async () => {
  const tag = `<script defer src="${sotto.url}/s.clicks.vitals.js" data-site="${key}" data-consent="5"></script>`
  site.page('/shop', { tag, body: BODY })
  const visitor = await (await browser.newContext({ userAgent: PERSON })).newPage()
  await visitor.goto(site.origin.replace('127.0.0.1', HOST) + '/shop')
  await until('the script', () => visitor.evaluate(() => Boolean(window.sotto)))
  for (let n = 0; n < 3; n++) await visitor.click('#buy')
  await visitor.evaluate(() => window.sotto('Order', { plan: 'pro' }, 12.5, 'EUR'))
  await visitor.mouse.wheel(0, 1_500)
  await until('the scroll', () => visitor.evaluate(() => scrollY > 500))
  await visitor.evaluate(() => history.pushState({}, '', '/left'))
  await sotto.rows(key, 'all kinds of hits', (rows) =>
    ['pageview', 'engagement', 'custom', 'click', 'vitals'].every((kind) => rows.some((row) => row.kind == kind)),
  )

  const open = async (path) => assert.equal((await owner.goto(`${sotto.url}/s/${key}/${path}`)).status(), 200, path)
  await open('clicks')
  assert.deepEqual(await row('/shop'), ['1', '1', '3'])
  await owner.getByRole('link', { name: '/shop' }).click()
  assert.deepEqual(await row('#buy'), ['1', '1', '3', '100%', '1'])
  await check(owner, 'clicks')
  await open('events')
  assert.deepEqual(await row('Order'), ['1', '1', '1'])
  assert.deepEqual(await row('Order in EUR'), ['1', '1', '1', '12.50 EUR', '12.50 EUR'])
  await check(owner, 'events')
  await owner.getByRole('link', { name: 'Order', exact: true }).click()
  assert.deepEqual(await row('plan: pro'), ['1', '1', '1'])
  await open('reading')
  const [visitors, visits, depth] = await row('/shop')
  assert.deepEqual([visitors, visits], ['1', '1'])
  assert.ok(parseInt(depth) > 0 && parseInt(depth) < 100, depth)
  await check(owner, 'reading')
  await open('vitals')
  assert.equal(await owner.locator('.vitals > li').count() > 2, true)
  assert.match((await row('/shop')).join(' '), /^1 [\d.]+ m?s/)
  await check(owner, 'speed')
  // One click from there to the others, and back to the overview.
  for (const name of ['Goals', 'Events', 'Reading', 'Clicks', 'Speed']) {
    await owner.getByRole('navigation', { name: 'Behaviour' }).getByRole('link', { name }).click()
    await owner.getByRole('heading', { level: 1, name }).waitFor()
  }
})

test('broken_link_that_a_visitor_follows_is_on_the_page_about_missing_pages', async () => {
  const tag = `<script defer src="${sotto.url}/s.auto.js" data-site="${key}" data-consent="5"></script>`
  site.page('/menu', { tag, body: '<h1>Menu</h1><a href="/gone">Old menu</a>' })
  site.page('/gone', { tag, body: '<meta name="sotto:status" content="404"><h1>Not here</h1>' })
  const visitor = await (await browser.newContext({ userAgent: PERSON })).newPage()
  // The event overtakes the view of its page, as it can on another connection.
  let overtake
  const overtaken = new Promise((resolve) => { overtake = resolve })
  await visitor.route('**/e', async (route) => {
    const hits = [route.request().postDataJSON()].flat()
    const of = (kind) => hits.some((hit) => hit.k == kind)
    const waits = of('p') && hits.some((hit) => hit.u?.endsWith('/gone'))
    if (waits) await overtaken
    // What is sent by a page that is left has nobody to be answered.
    const answer = route.fetch().then((response) => route.fulfill({ response })).catch(() => {})
    if (of('x')) overtake()
    await answer
  })
  await visitor.goto(site.origin.replace('127.0.0.1', HOST) + '/menu')
  await until('the script', () => visitor.evaluate(() => Boolean(window.sotto?.send)))
  await visitor.click('a')
  await sotto.rows(key, 'page and event', (rows) => ['pageview', 'custom'].every((kind) => rows.some((row) => row.path == '/gone' && row.kind == kind)))

  assert.equal((await owner.goto(`${sotto.url}/s/${key}/not-found`)).status(), 200)
  assert.deepEqual(await row('/gone'), ['1', '1', '100%'])
  assert.deepEqual(await row('From /menu'), ['1', '1', '100%'])
  await check(owner, 'not found')
  await owner.getByRole('link', { name: '/menu' }).click()
  await owner.getByRole('heading', { level: 1, name: 'Paths' }).waitFor()
})

test('annotation_is_read_on_the_chart_with_the_keyboard', async () => {
  const page = `${sotto.url}/s/${key}`
  await owner.goto(`${page}/annotations`)
  await check(owner, 'annotations without any')
  await owner.fill('[name=text]', 'Menu is new')
  await Promise.all([owner.waitForURL(/annotations/), owner.click('main form .button')])
  await owner.getByText('Menu is new').waitFor()
  await check(owner, 'annotations')
  await owner.goto(page)
  await owner.locator('.plot').focus()
  await owner.keyboard.press('End')
  assert.match(await owner.locator('.graph .live').textContent(), /so far\s+Menu is new: \d/)
  assert.match(await owner.locator('.tip').textContent(), /Menu is new/)
  await check(owner, 'overview with an annotation')
})
