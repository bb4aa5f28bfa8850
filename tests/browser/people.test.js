// One's own account and the people of a site in a browser (tests/suite/people.rs sends the bare forms): inviting somebody,
// who comes with the link, without and with JavaScript, and the pages' accessibility.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { startSotto } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const [EMAIL, PASSWORD, ANOTHER] = ['owner@shop.example', 'correct horse battery', 'another horse battery']
let browser, sotto

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

test('invited_person_comes_with_the_link_and_is_removed_on_accessible_pages', async () => {
  const owner = await (await browser.newContext()).newPage()
  await owner.goto(sotto.setUp)
  await owner.fill('[name=email]', EMAIL)
  await owner.fill('[name=password]', PASSWORD)
  await owner.fill('[name=hostname]', 'shop.example')
  await owner.click('main form .button')
  await owner.getByRole('link', { name: 'People' }).click()
  await owner.fill('[name=email]', 'bea@agency-with-a-long-name.example')
  await owner.getByRole('radio', { name: /Edit/ }).check()
  await owner.getByRole('button', { name: 'Invite' }).click()
  assert.match(await owner.getByRole('alert').textContent(), /at least one site/)
  assert.equal(await owner.inputValue('[name=email]'), 'bea@agency-with-a-long-name.example', 'what was typed stays')
  await owner.getByRole('checkbox', { name: 'shop.example' }).check()
  await owner.getByRole('button', { name: 'Invite' }).click()
  const link = await owner.locator('#link').textContent()
  assert.ok(link.startsWith(sotto.url + '/invitation/'), link)
  await check(owner, 'people-link')

  const bea = await (await browser.newContext({ javaScriptEnabled: false })).newPage()
  await bea.goto(link)
  await bea.fill('[name=name]', 'Bea')
  await bea.fill('[name=password]', PASSWORD)
  await bea.getByRole('button', { name: 'Create the account' }).click()
  await bea.getByRole('heading', { level: 1 }).waitFor()
  assert.equal(await bea.getByRole('link', { name: 'People' }).count(), 0)
  await bea.goto(sotto.url + '/account')
  assert.equal(await bea.locator('#tokens').count(), 0)

  await owner.goto(link)
  assert.match(await owner.getByRole('heading', { level: 1 }).textContent(), /not valid/)
  await check(owner, 'invitation-used')
  await owner.goto(sotto.url + '/people')
  await owner.getByRole('combobox', { name: 'Role of bea@' }).selectOption('viewer')
  await owner.getByRole('button', { name: 'Save the role of bea@agency-with-a-long-name.example' }).click()
  assert.match(await owner.getByRole('status').textContent(), /role is changed/)
  await check(owner, 'people')
  await owner.locator('section', { hasText: 'Bea' }).locator('summary').click()
  await owner.getByRole('button', { name: 'Remove for good: bea@' }).click()
  assert.match(await owner.getByRole('status').textContent(), /removed/)
  await bea.goto(sotto.url + '/account')
  assert.match(bea.url(), /\/sign-in\?next=%2Faccount$/)
})

test('account_is_kept_on_accessible_pages', async () => {
  const pages = []
  for (let n = 0; n < 2; n++) {
    const page = await (await browser.newContext()).newPage()
    await page.goto(sotto.url + '/sign-in?next=/account')
    await page.fill('[name=email]', EMAIL)
    await page.fill('[name=password]', PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    pages.push(page)
  }
  const [here, there] = pages
  await here.reload()
  await here.fill('[name=name]', 'Nightly export to the warehouse')
  await here.getByRole('button', { name: 'Make a token' }).click()
  assert.match(await here.locator('#token').textContent(), /^sotto_[0-9a-f]{64}$/)
  await check(here, 'account-token')
  await here.getByRole('button', { name: 'Remove the token Nightly' }).click()
  assert.match(await here.getByRole('status').textContent(), /token is removed/)
  await here.fill('[name=present]', 'not my password')
  await here.fill('[name=new]', ANOTHER)
  await here.getByRole('button', { name: 'Change the password' }).click()
  assert.match(await here.getByRole('alert').textContent(), /not your password/)
  await check(here, 'account-refused')
  await here.fill('[name=present]', PASSWORD)
  await here.fill('[name=new]', ANOTHER)
  await here.getByRole('button', { name: 'Change the password' }).click()
  assert.match(await here.getByRole('status').textContent(), /password is changed/)
  assert.equal(await here.getByText('Another browser').count(), 0)
  await check(here, 'account')
  await there.reload()
  assert.match(there.url(), /\/sign-in/)
})

test('invitation_is_accessible', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(sotto.url + '/sign-in?next=/people')
  await page.fill('[name=email]', EMAIL)
  await page.fill('[name=password]', ANOTHER)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.fill('[name=email]', 'cem@example.org')
  await page.getByRole('checkbox', { name: /All sites/ }).check()
  await page.getByRole('button', { name: 'Invite' }).click()
  const link = await page.locator('#link').textContent()
  await context.clearCookies()
  await page.goto(link)
  await check(page, 'invitation')
})
