// Two-step sign-in in a browser (tests/suite/two_step.rs sends the bare forms): switching it on, signing in with it, and the pages' accessibility.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { startSotto } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const [EMAIL, PASSWORD] = ['owner@shop.example', 'correct horse battery']
let browser, sotto

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

/** RFC 6238: the code of a step from now. */
function code(base32, steps = 0) {
  const bits = [...base32].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const secret = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const hash = createHmac('sha1', secret).update(counter).digest()
  const at = hash.at(-1) & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

test('second_step_is_switched_on_and_asked_for_on_accessible_pages', async () => {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(sotto.setUp)
  await page.fill('[name=email]', EMAIL)
  await page.fill('[name=password]', PASSWORD)
  await page.fill('[name=hostname]', 'shop.example')
  await page.click('main form .button')
  await page.getByRole('link', { name: 'Account' }).click()
  await page.getByRole('link', { name: 'Switch it on' }).click()
  const secret = (await page.locator('#secret').textContent()).replaceAll(' ', '')
  await check(page, 'off')
  await page.fill('[name=code]', '12')
  await page.fill('[name=password]', PASSWORD)
  await page.getByRole('button', { name: 'Switch it on' }).click()
  assert.match(await page.getByRole('alert').textContent(), /not right/)
  assert.equal((await page.locator('#secret').textContent()).replaceAll(' ', ''), secret)
  await page.fill('[name=code]', code(secret))
  await page.fill('[name=password]', PASSWORD)
  await page.getByRole('button', { name: 'Switch it on' }).click()
  assert.equal(await page.locator('#codes li').count(), 8)
  await check(page, 'codes')
  await page.getByRole('link', { name: 'I have kept them' }).click()
  await page.getByRole('link', { name: 'Account' }).click()
  await page.getByRole('link', { name: 'Change it' }).click()
  await check(page, 'on')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.fill('[name=email]', EMAIL)
  await page.fill('[name=password]', PASSWORD)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await check(page, 'code')
  await page.fill('[name=code]', code(secret, 1))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
  await context.close()
})
