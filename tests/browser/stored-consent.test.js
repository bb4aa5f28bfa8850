// What is stored of a visitor who decides in a consent manager: the rows, not only the mask on the wire.
//
// The policy of the sites is strict, so that every field needs consent; which field is of which category is read from
// the data map by the test itself.

import assert from 'node:assert/strict'
import { categories, forbidden } from './support/datamap.js'
import { MANAGERS } from './support/managers.js'
import { inChromiumAgainstSotto, matrix } from './support/real.js'
import { present } from './support/sotto.js'

const test = inChromiumAgainstSotto()
const found = matrix('consent manager x scenario (stored rows)')
const ALL = 15

/** Sotto's own banner, as a visitor uses it. */
const BANNER = {
  modules: ['banner'],
  head: () => '',
  steps: [
    [(page) => page.getByRole('button', { name: 'Accept all' }).click(), 15],
    [
      async (page) => {
        const reopen = page.locator('.reopen')
        if (await reopen.count()) await reopen.click()
        else await page.locator('summary').click()
        await page.getByRole('checkbox', { name: /Preference/ }).setChecked(false)
        await page.getByRole('checkbox', { name: /Marketing/ }).setChecked(false)
        await page.getByRole('checkbox', { name: /Analytics/ }).setChecked(true)
        await page.getByRole('button', { name: 'Save choice' }).click()
      },
      5,
    ],
    [
      async (page) => {
        const reopen = page.locator('.reopen')
        if (await reopen.count()) await reopen.click()
        await page.getByRole('button', { name: 'Reject all' }).click()
      },
      1,
    ],
  ],
}

/**
 * Every row holds only what its own mask allows, and all that it allows. The receipt of a decision holds nothing that
 * tells whose it was, whatever was allowed.
 */
function check(rows, source) {
  for (const row of rows) {
    const fields = present(row)
    const what = JSON.stringify(fields)
    const decided = row.granted != 0
    assert.equal(row.refused, decided ? ALL & ~row.granted & ~1 : 0, what)
    if (row.tier == 'minimal') assert.match(row.time, /:00:00/, `not the start of an hour: ${what}`)
    const measured = row.kind != 'consent' && row.granted & 4
    assert.deepEqual(forbidden(fields, row.kind == 'consent' ? 0 : row.granted), [], `stored without consent: ${what}`)
    assert.equal(row.tier, measured ? 'full' : 'minimal', what)
    if (row.kind == 'consent') {
      assert.equal(row.consent_source, source, what)
      continue
    }
    if (measured) for (const name of ['visitor', 'session', 'view', 'browser', 'os']) assert.ok(name in fields, `${name} is missing: ${what}`)
    if (row.granted & 2) assert.equal(row.language, 'de', what)
    if (row.granted & 8 && row.kind == 'pageview' && row.path == '/page') assert.equal(row.utm_source, 'letter', what)
  }
}

const isView = (path) => (row) => row.kind == 'pageview' && row.path == path
const isDecision = (mask) => (row) => row.kind == 'consent' && row.granted == mask

/** One visitor: sees a page, does the steps, comes back. Gives the rows of the site. */
async function visit({ sotto, site, newContext, tag }, name, { head, modules = ['consent', 'consent-' + name] }, steps) {
  const key = await sotto.addSite('127.0.0.1', 'strict')
  const body = `${tag(key, ['auto', ...modules])}<h1>Shop</h1>${await head()}`
  for (const path of ['/page', '/end']) site.page(path, { tag: '', body })
  const context = await newContext({ locale: name == 'banner' ? 'en-GB' : 'de-DE', extraHTTPHeaders: { 'accept-language': 'de-DE' } })
  // Managers that call home must not reach it from a test.
  await context.route((url) => url.hostname != '127.0.0.1', (route) => route.abort())
  const page = await context.newPage()
  await page.goto(site.origin + '/page?utm_source=letter')
  const first = await sotto.rows(key, 'the first pageview', (rows) => rows.some(isView('/page')))
  assert.deepEqual(first.map((row) => [row.granted, row.refused]), [[0, 0]], 'undecided at first')
  check(first, name)
  for (const [choose, mask] of steps) {
    await choose(page)
    await sotto.rows(key, `the decision ${mask}`, (rows) => rows.some(isDecision(mask)))
    await page.evaluate((mask) => window.sotto('after-' + mask), mask)
  }
  const last = steps.at(-1)?.[1]
  await page.goto(site.origin + '/end')
  const rows = await sotto.rows(key, 'the last page', (rows) => {
    const end = rows.filter(isView('/end'))
    const known = (mask) => end.some((row) => row.granted == mask) || rows.filter(isDecision(mask)).length > steps.filter((step) => step[1] == mask).length
    return end.length > 0 && (last === undefined || known(last))
  })
  check(rows, name)
  for (const [, mask] of steps) {
    const events = rows.filter((row) => row.kind == 'custom' && row.name == 'after-' + mask)
    assert.equal(events.length, mask & 4 ? 1 : 0, `events under mask ${mask}`)
  }
  return rows
}

assert.ok(Object.keys(categories).length > 40, 'the data map was not read')

for (const [name, manager] of Object.entries({ ...MANAGERS, banner: BANNER })) {
  const words = name.replaceAll('-', '_')
  const { steps } = manager
  const [accept, refuse] = [steps[0], steps.at(-1)]
  const partial = manager.partial ?? (steps.length > 2 ? steps[1] : undefined)

  test(`${words}_undecided_visitor_leaves_only_anonymous_pageviews`, async (world) => {
    const rows = await visit(world, name, manager, [])
    assert.deepEqual(rows.map((row) => row.kind), ['pageview', 'pageview'])
    found(name, 'undecided')
  })

  test(`${words}_accepted_then_withdrawn_is_stored_as_the_visitor_decided`, async (world) => {
    const rows = await visit(world, name, manager, steps)
    assert.deepEqual([...new Set(rows.filter((row) => row.kind == 'custom').map((row) => row.granted))].sort(), steps.map((step) => step[1]).filter((mask) => mask & 4).sort())
    found(name, 'withdraw', `ok ${steps.map((step) => step[1]).join('>')}`)
  })

  for (const [scenario, step] of Object.entries({ accept, partial, refuse }).filter(([, step]) => step))
    test(`${words}_${scenario}_is_stored_and_survives_a_reload`, async (world) => {
      await visit(world, name, manager, [step])
      found(name, scenario, `ok ${step[1]}`)
      found(name, 'reload ' + scenario)
    })
}
