// A category of a consent manager that nobody has mapped: seen on a page, shown on the dashboard, mapped there, and the
// tag that comes of it honours it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import AxeBuilder from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const HOST = 'shop.example'
/** A visitor who agreed to two groups that OneTrust's owner made up. */
const ONETRUST = `<script>window.OneTrust = { IsAlertBoxClosed: () => true }; window.OnetrustActiveGroups = ',C0001,C0009,Not mine,'</script>`
let browser, sotto, site, key, state

before(async () => {
  ;[sotto, site, browser] = await Promise.all([
    startSotto(),
    startSite(),
    chromium.launch({
      executablePath,
      args: [...launchArguments, '--disable-blink-features=AutomationControlled', '--host-resolver-rules=MAP *.example 127.0.0.1'],
    }),
  ])
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(sotto.setUp)
  await page.fill('[name=email]', 'owner@shop.example')
  await page.fill('[name=password]', 'correct horse battery')
  await page.fill('[name=hostname]', HOST)
  await Promise.all([page.waitForURL(/\/install/), page.click('main form .button')])
  key = /\/s\/(\w+)\/install/.exec(page.url())[1]
  state = await context.storageState()
  await context.close()
})
after(async () => {
  await browser?.close()
  await Promise.all([site?.close(), sotto?.stop()])
})

const at = (path) => site.origin.replace('127.0.0.1', HOST) + path

async function dashboard(path, options = {}) {
  const context = await browser.newContext({ storageState: state, javaScriptEnabled: false, ...options })
  const page = await context.newPage()
  await page.goto(`${sotto.url}/s/${key}${path}`)
  return page
}

/** A visit of two views: what a view learnt of the manager is sent when it is left. */
async function visit(name, tag) {
  site.page(`/${name}`, { tag, body: '<h1>Shop</h1>' + ONETRUST })
  const context = await browser.newContext({ userAgent: PERSON })
  const page = await context.newPage()
  await page.goto(at(`/${name}`))
  const seen = (path) => (rows) => rows.some((row) => row.kind == 'pageview' && row.path == path)
  await sotto.rows(key, 'the first view', seen(`/${name}`))
  await page.evaluate((path) => history.pushState({}, '', path), `/${name}-left`)
  const rows = await sotto.rows(key, 'the second view', seen(`/${name}-left`))
  await context.close()
  return rows
}

const views = (rows, name) => rows.filter((row) => row.kind == 'pageview' && row.path.startsWith('/' + name)).map((row) => row.granted)
/** The id and how often it was reported, of every row. */
const listed = (page) => page.locator('#unmapped tbody tr').evaluateAll((rows) => rows.map((row) => [row.querySelector('code').textContent, row.cells[1].textContent]))

async function violations(page) {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.map((v) => [v.id, v.nodes.map((n) => n.target)])
}

test('unmapped_group_is_seen_mapped_onto_the_tag_and_then_honoured', async () => {
  const before = await visit('unmapped', `<script defer src="${sotto.url}/s.consent-onetrust.js" data-site="${key}"></script>`)
  assert.deepEqual(views(before, 'unmapped'), [1, 1], 'what nobody mapped grants nothing')
  const reports = before.filter((row) => row.kind == 'consent')
  assert.deepEqual(reports.map((row) => [row.granted, row.refused, row.consent_source]), [[0, 0, 'onetrust']])

  const page = await dashboard('/consent')
  await until('the groups on the page', async () => {
    await page.reload()
    return (await page.locator('#unmapped').count()) > 0
  })
  assert.deepEqual(await listed(page), [['C0009', '1'], ['Not mine', '1']])
  await page.getByLabel('What C0009 stands for').selectOption('Analytics')
  await page.getByLabel('What Not mine stands for').selectOption('None of them')
  await page.getByRole('button', { name: 'Put it on the tag' }).click()

  const snippet = async () => (await page.locator('#snippet').textContent()).trim()
  const map = 'data-map="C0009:4 Not%20mine:0"'
  assert.equal(await snippet(), `<script defer src="${sotto.url}/s.auto.consent-onetrust.js" data-site="${key}" ${map}></script>`)
  // The map is in the address: it stays when more is chosen.
  await page.getByRole('checkbox', { name: /Returning visitors/ }).check()
  await page.getByRole('button', { name: 'Make the tag' }).click()
  const tag = await snippet()
  assert.equal(tag, `<script defer src="${sotto.url}/s.auto.consent-onetrust.visitor.js" data-site="${key}" ${map}></script>`)
  await page.context().close()

  const rows = await visit('mapped', tag)
  assert.deepEqual(views(rows, 'mapped'), [5, 5], 'C0009 is analytics')
  assert.equal(rows.filter((row) => row.kind == 'consent').length, reports.length, 'nothing is reported any more')
  const again = await dashboard('/consent')
  assert.deepEqual(await listed(again), [['C0009', '1'], ['Not mine', '1']])
  assert.match(await again.locator('#returning').textContent(), /1 visitor agreed to be known again/)
  await again.context().close()
})

test('page_with_unmapped_groups_and_its_map_have_no_violation_of_accessibility_rules', async () => {
  for (const colorScheme of ['light', 'dark'])
    for (const width of [375, 1440])
      for (const path of ['/consent', '/install?m=auto&consent=onetrust&map=C0009:4&map=Not+mine:0']) {
        const page = await dashboard(path, { colorScheme, javaScriptEnabled: true, viewport: { width, height: 900 } })
        assert.deepEqual(await violations(page), [], `${path} ${colorScheme} ${width}`)
        const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
        assert.equal(wide, false, `${path} is wider than ${width}`)
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${path.split(/[/?]/)[1]}-${colorScheme}-${width}.png`, fullPage: true })
        await page.context().close()
      }
})
