// The reports in a browser: where the focus goes, and the pages' accessibility.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { PERSON, startSotto, until } from './support/sotto.js'
import { check } from './support/accessible.js'
import { executablePath, launchArguments } from './support/world.js'

let browser, sotto, page

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
  page = await (await browser.newContext()).newPage()
  await page.goto(sotto.setUp)
  await page.fill('[name=email]', 'owner@shop.example')
  await page.fill('[name=password]', 'correct horse battery')
  await page.fill('[name=name]', 'The shop of shops and everything that belongs to it')
  await page.fill('[name=hostname]', 'shop.example')
  await page.click('main form .button')
  const [{ key }] = JSON.parse(await sotto.cli('site', 'list', '--json'))
  sotto.key = key
  for (const [n, path] of ['/', '/prices', '/prices', '/contact'].entries()) {
    const hit = { v: 1, s: key, k: 'p', i: `v${n}`, q: 0, u: `https://shop.example${path}`, r: 'https://www.google.com/' }
    const answer = await fetch(`${sotto.url}/e`, {
      method: 'POST',
      headers: { 'user-agent': `${PERSON} ${n}` },
      body: JSON.stringify(n == 3 ? { ...hit, c: 1 } : hit),
    })
    assert.equal(answer.status, 204)
  }
  await until('the hits', async () => {
    const rows = JSON.parse(await sotto.cli('report', key, '--metrics', 'pageviews', '--json'))
    return JSON.stringify(rows).includes('4')
  })
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

const focused = () => page.evaluate(() => document.activeElement?.id)

test('focus_goes_to_the_filters_when_a_row_became_one_and_stays_where_its_place_stays', async () => {
  await page.goto(`${sotto.url}/s/${sotto.key}`)
  await page.getByRole('link', { name: '/prices' }).focus()
  await page.keyboard.press('Enter')
  await page.waitForURL(/f=page/)
  await until('the filter', async () => (await page.locator('#filters').count()) == 1)
  assert.equal(await focused(), 'filters')
  assert.equal(await page.getByRole('list', { name: 'Filters' }).getByText('Page is /prices').count(), 1)
  await page.locator('#tab-sources-2').focus()
  await page.keyboard.press('Enter')
  await page.waitForURL(/sources=channel/)
  await until('the tab', async () => (await page.locator('#tab-sources-2[aria-current]').count()) == 1)
  assert.equal(await focused(), 'tab-sources-2')
  await page.getByRole('link', { name: 'Clear all' }).focus()
  await page.keyboard.press('Enter')
  await until('no filter', async () => (await page.locator('#filters').count()) == 0)
  assert.equal(await focused(), 'about')
})

test('filter_that_is_typed_is_added_to_those_that_were_clicked', async () => {
  await page.goto(`${sotto.url}/s/${sotto.key}?f=device:is:desktop`)
  await page.locator('#filter').click()
  await page.locator('[name=field]').selectOption({ label: 'Channel' })
  await page.fill('[name=value]', 'organic search')
  await page.getByRole('button', { name: 'Add' }).click()
  await until('both filters', async () => (await page.locator('#filters li:not(.bare)').count()) == 2)
  assert.equal(await page.getByRole('list', { name: 'Filters' }).getByText('Channel is Organic search').count(), 1)
  await page.getByRole('link', { name: 'Remove filter Channel is Organic search' }).click()
  await until('one filter', async () => (await page.locator('#filters li:not(.bare)').count()) == 1)
  assert.ok(page.url().endsWith('?f=device:is:desktop'), page.url())
})

test('lines_and_bars_stand_out_from_the_card', async () => {
  await page.goto(`${sotto.url}/s/${sotto.key}`)
  // WCAG 2.2, 1.4.11: three to one, which axe does not look at.
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    const ratios = await page.evaluate((names) => {
      const style = getComputedStyle(document.documentElement)
      const light = (name) => {
        const [r, g, b] = /#(..)(..)(..)/.exec(style.getPropertyValue(name).trim()).slice(1).map((hex) => {
          const part = parseInt(hex, 16) / 255
          return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
      }
      const card = light('--card')
      return names.map((name) => [name, Math.max(light(name) / card, card / light(name))])
    }, ['--before', '--granted', '--undecided', '--refused', '--anonymous', '--accent'])
    assert.deepEqual(ratios.filter(([, ratio]) => ratio < 3), [], colorScheme)
  }
})

test('reports_are_accessible_in_both_themes_and_on_phones', async () => {
  for (const [name, path] of [
    ['overview', ''],
    ['filtered', '?f=page:is:/prices&sources=channel'],
    ['campaigns', '?sources=utm_campaign&pages=event'],
    ['last-month', '?p=last-month'],
    ['list', '/list/page'],
    ['list-of-channels', '/list/channel?f=country:is:'],
    ['list-of-nothing', '/list/utm_medium'],
    ['goals', '/goals'],
  ]) {
    await page.goto(`${sotto.url}/s/${sotto.key}${path}`)
    await check(page, name)
  }
})

test('page_about_trust_is_read_by_anybody_and_accessible', async () => {
  const context = await browser.newContext()
  page = await context.newPage()
  const answer = await page.goto(`${sotto.url}/trust/${sotto.key}`)
  assert.equal(answer.status(), 200)
  await page.locator('details').first().click()
  await check(page, 'trust')
  await context.close()
})
