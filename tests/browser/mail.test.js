// Mail about a site in a browser (tests/suite/mail.rs sends real letters): choosing it, looking at a letter, and the pages'
// accessibility.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

let browser, sotto, owner, key

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
  owner = await (await browser.newContext()).newPage()
  await owner.goto(sotto.setUp)
  await owner.fill('[name=email]', 'owner@shop.example')
  await owner.fill('[name=password]', 'correct horse battery')
  await owner.fill('[name=hostname]', 'shop.example')
  await owner.click('main form .button')
  await owner.getByRole('link', { name: 'Account' }).waitFor()
  key = JSON.parse(await sotto.cli('site', 'list', '--json'))[0].key
  const hit = { v: 1, s: key, k: 'p', i: 'view', q: 0, u: 'https://shop.example/' }
  assert.equal((await fetch(sotto.url + '/e', { method: 'POST', headers: { 'user-agent': PERSON }, body: JSON.stringify(hit) })).status, 204)
  const counted = async () => JSON.parse(await sotto.cli('report', key, '--metrics', 'pageviews', '--json'))[0]?.pageviews == 1
  await until('the hit to be counted', counted)
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

test('mail_is_chosen_and_a_letter_looked_at_on_accessible_pages', async () => {
  await owner.goto(`${sotto.url}/s/${key}`)
  await owner.getByRole('link', { name: 'Mail', exact: true }).click()
  await check(owner, 'mail-empty')
  await owner.getByRole('checkbox', { name: /Weekly report/ }).check()
  await owner.getByRole('button', { name: 'Save' }).click()
  await owner.getByRole('status').waitFor()
  assert.ok(await owner.getByRole('checkbox', { name: /Weekly report/ }).isChecked())
  assert.ok(!(await owner.getByRole('checkbox', { name: /Monthly report/ }).isChecked()))
  await owner.getByRole('link', { name: 'Weekly report' }).click()
  const letter = owner.frameLocator('iframe.letter')
  await letter.getByRole('heading', { name: 'shop.example' }).waitFor()
  const drawn = await letter.locator('img').evaluate((img) => img.decode().then(() => img.naturalWidth))
  assert.equal(drawn, 1120)
  await owner.getByText('As plain text', { exact: true }).click()
  // What is in the frame runs no scripts, and axe waits for it in vain: it is looked at below.
  await owner.locator('iframe.letter').evaluate((frame) => frame.remove())
  await check(owner, 'mail-preview')
  await owner.getByRole('button', { name: 'Remove weekly report of owner@shop.example' }).click()
  await owner.getByText('They get it no more.').waitFor()
})

test('letter_is_accessible_and_its_styles_are_let_in', async () => {
  const address = `${sotto.url}/s/${key}/mail/preview?of=monthly`
  await owner.goto(address)
  assert.equal(await owner.locator('h1').evaluate((h) => getComputedStyle(h).fontSize), '20px')
  const html = await (await owner.request.get(address)).text()
  await owner.goto('about:blank')
  await owner.setContent(html)
  await check(owner, 'mail-letter')
})

test('webhook_is_added_tried_and_removed_on_accessible_pages', async () => {
  await owner.goto(`${sotto.url}/s/${key}/mail`)
  await owner.getByRole('link', { name: 'webhooks' }).click()
  await check(owner, 'webhooks-empty')
  await owner.getByLabel('Address').fill('https://10.0.0.1/')
  await owner.getByRole('button', { name: 'Add the webhook' }).click()
  await owner.getByText('the address is not a public one').waitFor()
  // Nobody listens there.
  await owner.getByLabel('Address').fill('http://127.0.0.1:1025/in')
  await owner.getByRole('button', { name: 'Add the webhook' }).click()
  await owner.getByText(/^whsec_/).waitFor()
  await check(owner, 'webhooks-added')
  await owner.getByRole('button', { name: 'Send a test message to 127.0.0.1' }).click()
  await owner.getByText('127.0.0.1 did not accept the test message: it cannot be reached.').waitFor()
  assert.equal(await owner.getByText(/^whsec_/).count(), 0)
  await owner.getByRole('button', { name: 'Remove the webhook to 127.0.0.1' }).click()
  await owner.getByText('None yet.').waitFor()
})
