// Filters, from a visit on a real page to a segment: values that are proposed while somebody types, the same without JavaScript,
// and how the page looks.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const HOST = 'shop.example'
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
  const tag = `<script defer src="${sotto.url}/s.js" data-site="${key}" data-consent="5"></script>`
  for (const path of ['/shop', '/thanks']) site.page(path, { tag, body: '<main><h1>Shop</h1></main>' })
  const visitor = await (await browser.newContext({ userAgent: PERSON })).newPage()
  for (const path of ['/shop', '/thanks']) {
    await visitor.goto(site.origin.replace('127.0.0.1', HOST) + path)
    await until('the script', () => visitor.evaluate(() => Boolean(window.sotto)))
  }
  await visitor.evaluate(() => window.sotto('Order', { plan: 'pro' }))
  await sotto.rows(key, 'both pages and the event', (rows) =>
    ['/shop', '/thanks'].every((path) => rows.some((row) => row.path == path)) && rows.some((row) => row.kind == 'custom'),
  )
})
after(async () => {
  await browser?.close()
  await Promise.all([site?.close(), sotto?.stop()])
})

const open = async (page, path) => assert.equal((await page.goto(`${sotto.url}/s/${key}${path}`)).status(), 200, path)
const chips = async (page) => (await page.locator('.chips li > span').allTextContents()).map((text) => text.trim())

test('values_are_proposed_while_somebody_types', async () => {
  await open(owner, '?p=today')
  await owner.click('#filter')
  const form = owner.locator('form[data-suggest]')
  const proposed = () => form.locator('datalist option').evaluateAll((all) => all.map((one) => `${one.value} ${one.label}`))
  await form.locator('[name=field]').selectOption('page')
  await until('the pages', async () => (await proposed()).length == 2)
  await form.locator('[name=value]').fill('TH')
  await until('what contains it', async () => (await proposed()).join() == '/thanks 1')
  await form.locator('[name=field]').selectOption('prop')
  await form.locator('[name=value]').fill('pl')
  await until('props', async () => (await proposed()).join() == 'plan=pro 1')
  await form.locator('[name=value]').fill('plan=pro')
  await form.getByRole('button').click()
  await until('the filter', async () => (await chips(owner)).join() == 'Prop plan is pro')
})

test('second_row_that_is_clicked_is_one_more_filter_and_back_takes_it_away', async () => {
  await open(owner, '?p=today')
  await owner.getByRole('region', { name: 'Pages', exact: true }).getByRole('link', { name: '/shop' }).click()
  await until('one filter', async () => (await chips(owner)).join() == 'Page is /shop')
  await owner.getByRole('region', { name: 'Devices', exact: true }).getByRole('link', { name: 'Desktop' }).click()
  await until('two', async () => (await chips(owner)).length == 2)
  await owner.goBack()
  await until('one again', async () => (await chips(owner)).join() == 'Page is /shop')
  await owner.goBack()
  await until('none', async () => (await chips(owner)).length == 0)
})

test('values_and_segments_need_no_javascript', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, storageState: await owner.context().storageState() })
  const page = await context.newPage()
  await open(page, '?p=today')
  await page.click('#filter')
  await page.getByRole('link', { name: 'Values, goals and segments' }).click()
  await page.getByLabel('Field').selectOption('visited')
  await page.getByRole('button', { name: 'Show values' }).click()
  await page.getByRole('link', { name: '/thanks' }).click()
  assert.deepEqual(await chips(page), ['Visited page is /thanks'])
  assert.equal(await page.getByRole('region', { name: 'Pages', exact: true }).getByRole('link', { name: '/shop' }).count(), 1, 'all pages of the visit')
  await page.click('#filter')
  await page.getByRole('link', { name: 'Values, goals and segments' }).click()
  await page.getByLabel('Keep the filters above as').fill('Buyers')
  await page.getByRole('button', { name: 'Keep as a segment' }).click()
  await page.getByRole('link', { name: 'Clear all' }).click()
  await page.getByRole('link', { name: 'Buyers' }).click()
  assert.deepEqual(await chips(page), ['Visited page is /thanks'])
  await context.close()
})

test('page_of_filters_is_accessible_in_light_and_dark_on_phone_and_screen', async () => {
  await open(owner, '/filter?p=today&f=page:starts:/sh&f=visited:unlike:/jobs/*&of=page')
  await check(owner, 'filters')
  await open(owner, '?p=today')
  await owner.click('#filter')
  await check(owner, 'filter-menu')
})
