// The module `visitor`: on the wire, and in the stored rows.

import assert from 'node:assert/strict'
import { inChromiumAgainstSotto } from './support/real.js'
import { inChromium } from './support/world.js'

const test = inChromium()
const against = inChromiumAgainstSotto()
const DAY_MS = 86_400_000
/** Of the page's clock, where the age of something matters. */
const NOW = Date.parse('2027-03-01T12:00:00Z')
const kept = (page) => page.evaluate(() => localStorage.sotto_visitor)

async function open(world, attributes, before) {
  world.install(attributes, ['visitor'])
  const page = await world.newPage()
  if (before) await page.addInitScript(before)
  await page.goto(world.site.origin + '/page')
  await world.collector.pageviews(1)
  return page
}

test('undecided_visitor_has_no_id_and_storage_is_not_touched', async (world) => {
  const reads = () => {
    window.touched = []
    for (const method of ['getItem', 'setItem', 'removeItem']) Storage.prototype[method] = () => window.touched.push(method)
  }
  const page = await open(world, '', reads)
  assert.equal('y' in world.collector.hits('p')[0], false)
  assert.equal(await kept(page), undefined)
  assert.deepEqual(await page.evaluate(() => window.touched), [])
})

test('visitor_who_agreed_has_the_same_id_on_every_page', async (world) => {
  const page = await open(world, 'data-consent="5"')
  await page.goto(world.site.origin + '/other')
  const [first, second] = await world.collector.pageviews(2)
  assert.match(first.y, /^[0-9a-z]{12}$/)
  assert.equal(second.y, first.y)
  assert.equal((await kept(page)).split('.')[0], first.y)
})

test('consent_without_analytics_gives_no_id', async (world) => {
  const page = await open(world, 'data-consent="11"')
  assert.equal('y' in world.collector.hits('p')[0], false)
  assert.equal(await kept(page), undefined)
})

test('withdrawal_deletes_the_id_and_even_its_own_hit_has_none', async (world) => {
  const page = await open(world, 'data-consent="5"')
  await page.evaluate(() => window.sotto.consent(1))
  const hits = await world.settled(page)
  const withdrawal = hits.find((hit) => hit.k == 'o')
  assert.equal(withdrawal.c, 1)
  assert.equal('y' in withdrawal, false)
  assert.equal(await kept(page), undefined)
  await page.evaluate(() => window.sotto.consent(5))
  const again = await world.collector.hit('new decision', (hit) => hit.k == 'o' && hit.c == 5)
  assert.match(again.y, /^[0-9a-z]{12}$/)
  assert.notEqual(again.y, hits.find((hit) => hit.k == 'p').y, 'somebody who comes back after a refusal is somebody new')
})

test('refusal_that_is_known_at_the_start_deletes_a_stored_id', async (world) => {
  const page = await open(world, 'data-consent="1"', () => (localStorage.sotto_visitor ??= 'aaaaaaaaaaaa.2026-01-01'))
  assert.equal(await kept(page), undefined)
})

for (const [age, same] of [[394, true], [396, false]])
  test(`id_of_${age}_days_is_${same ? 'kept_and_not_renewed' : 'replaced'}`, async (world) => {
    const day = new Date(NOW - age * DAY_MS).toISOString().slice(0, 10)
    await world.context.clock.setFixedTime(NOW)
    const page = await open(world, 'data-consent="5"', `localStorage.sotto_visitor ??= 'aaaaaaaaaaaa.${day}'`)
    const [view] = world.collector.hits('p')
    assert.equal(view.y == 'aaaaaaaaaaaa', same)
    assert.equal((await kept(page)) == 'aaaaaaaaaaaa.' + day, same)
  })

for (const value of ['aaaaaaaaaaaa', 'aaaaaaaaaaaa.never', 'x.2026-01-01', '<script>.2026-01-01', '.'])
  test(`stored_value_${JSON.stringify(value)}_is_replaced`, async (world) => {
    await open(world, 'data-consent="5"', `localStorage.sotto_visitor ??= ${JSON.stringify(value)}`)
    const [view] = world.collector.hits('p')
    assert.match(view.y, /^[0-9a-z]{12}$/)
    assert.notEqual(view.y, 'aaaaaaaaaaaa')
  })

test('forbidden_storage_gives_an_id_for_the_document_only', async (world) => {
  const page = await open(world, 'data-consent="5"', () => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } }))
  await page.evaluate(() => window.sotto('event'))
  const event = await world.collector.hit('event', (hit) => hit.k == 'x')
  assert.match(event.y, /^[0-9a-z]{12}$/)
  assert.equal(event.y, world.collector.hits('p')[0].y)
  assert.deepEqual(world.errors, [])
})

against('returning_visitor_is_stored_with_consent_only_whatever_the_policy', async ({ sotto, site, newContext, tag }) => {
  const key = await sotto.addSite('127.0.0.1', 'cookieless')
  site.tag(tag(key, ['visitor']))
  const context = await newContext()
  const page = await context.newPage()
  await page.goto(site.origin + '/undecided')
  await page.evaluate(() => window.sotto.consent(5))
  await page.goto(site.origin + '/consent')
  // The fixture knows no consent manager: every page starts undecided.
  await page.evaluate(() => window.sotto.consent(5))
  await page.evaluate(() => window.sotto('agreed'))
  await page.evaluate(() => window.sotto.consent(1))
  await page.goto(site.origin + '/end')
  const rows = await sotto.rows(key, 'the last page', (rows) => rows.some((row) => row.path == '/end'))
  const has = (wanted) => rows.filter(wanted).map((row) => row.returning > 0)
  assert.deepEqual(has((row) => row.kind == 'pageview'), [false, false, false])
  assert.deepEqual(has((row) => row.kind == 'custom'), [true])
  assert.deepEqual(has((row) => row.granted == 1), has((row) => row.granted == 1).map(() => false))
  assert.equal(new Set(rows.filter((row) => row.returning > 0).map((row) => row.returning)).size, 1, 'the same on both pages')
})

