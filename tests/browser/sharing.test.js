// Shared reports in a browser (tests/suite/sharing.rs sends the bare forms): making links, reading by one with and without
// JavaScript, frames of other sites, and the pages' accessibility.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const [EMAIL, PASSWORD, OF_LINK] = ['owner@shop.example', 'correct horse battery', 'password of the link']
let browser, sotto, owner, key

before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), chromium.launch({ executablePath, args: launchArguments })])
  owner = await (await browser.newContext()).newPage()
  await owner.goto(sotto.setUp)
  await owner.fill('[name=email]', EMAIL)
  await owner.fill('[name=password]', PASSWORD)
  await owner.fill('[name=hostname]', 'shop.example')
  await owner.click('main form .button')
  await owner.getByRole('link', { name: 'Account' }).waitFor()
  key = JSON.parse(await sotto.cli('site', 'list', '--json'))[0].key
  for (let n = 0; n < 12; n++) {
    const hit = { v: 1, s: key, k: 'p', i: `view${n}`, q: 0, u: `https://shop.example/${n % 2 ? 'prices' : ''}` }
    const headers = { 'user-agent': PERSON.replace('142', 120 + n) }
    assert.equal((await fetch(sotto.url + '/e', { method: 'POST', headers, body: JSON.stringify(hit) })).status, 204)
  }
  const counted = async () => JSON.parse(await sotto.cli('report', key, '--metrics', 'pageviews', '--json'))[0]?.pageviews == 12
  await until('the hits to be counted', counted)
})
after(async () => {
  await browser?.close()
  await sotto?.stop()
})

/** Makes a link on the page of sharing, which stays open; its address. */
async function makeLink(name, choose = async () => {}) {
  await owner.goto(`${sotto.url}/s/${key}/sharing`)
  await owner.fill('[name=name]', name)
  await choose()
  await owner.getByRole('button', { name: 'Make the link' }).click()
  return owner.locator('#link').textContent()
}

test('link_is_made_read_and_withdrawn_on_accessible_pages', async () => {
  await owner.goto(`${sotto.url}/s/${key}/settings`)
  await owner.getByRole('link', { name: 'Share the reports' }).click()
  await check(owner, 'sharing-empty')
  const link = await makeLink('For the monthly meeting with everybody at the client', async () => {
    await owner.getByText('Fixed filters', { exact: true }).click()
    await owner.getByRole('combobox', { name: 'Field' }).first().selectOption('browser')
    await owner.getByRole('textbox', { name: 'Value' }).first().fill('Chrome')
    await owner.getByRole('checkbox', { name: 'Goals' }).check()
    for (const part of ['Password', 'Embedding']) await owner.locator('summary', { hasText: part }).click()
    await check(owner, 'sharing-choices')
  })
  assert.ok(link.startsWith(sotto.url + '/shared/'), link)
  await check(owner, 'sharing-made')

  for (const javaScriptEnabled of [true, false]) {
    const reader = await (await browser.newContext({ javaScriptEnabled })).newPage()
    await reader.goto(link)
    assert.match(await reader.locator('#fixed').textContent(), /Browser is Chrome/)
    await reader.getByRole('link', { name: '/prices' }).click()
    await reader.locator('.chips').waitFor()
    assert.ok(reader.url().startsWith(link + '?'), reader.url())
    await reader.getByRole('link', { name: 'Remove filter' }).click()
    await reader.locator('.chips').waitFor({ state: 'detached' })
    assert.match(await reader.locator('#fixed').textContent(), /Browser is Chrome/, 'it cannot be removed')
    if (javaScriptEnabled) await check(reader, 'shared')
    await reader.getByRole('link', { name: 'All pages and details' }).click()
    await reader.getByRole('heading', { name: 'Pages' }).waitFor()
    assert.ok(reader.url().startsWith(link + '/list/page'), reader.url())
    if (javaScriptEnabled) await check(reader, 'shared-list')
    await reader.goto(link + '/goals')
    if (javaScriptEnabled) await check(reader, 'shared-goals')
    await reader.context().close()
  }
  await owner.getByRole('button', { name: 'Withdraw the link For the monthly' }).click()
  assert.match(await owner.getByRole('status').textContent(), /shows nothing/)
  const late = await (await browser.newContext()).newPage()
  assert.equal((await late.goto(link)).status(), 404)
  await check(late, 'shared-withdrawn')
})

test('password_of_a_link_is_asked_for_on_an_accessible_page', async () => {
  const link = await makeLink('With a password', async () => {
    await owner.locator('summary', { hasText: 'Password' }).click()
    await owner.fill('[name=password]', OF_LINK)
  })
  const reader = await (await browser.newContext()).newPage()
  await reader.goto(link)
  await check(reader, 'shared-password')
  await reader.fill('[name=password]', 'not the password')
  await reader.getByRole('button', { name: 'Show the reports' }).click()
  assert.match(await reader.getByRole('alert').textContent(), /not the password/)
  await reader.fill('[name=password]', OF_LINK)
  await reader.getByRole('button', { name: 'Show the reports' }).click()
  await reader.getByText('This page shows groups').waitFor()
  await reader.goto(link + '/list/page')
  assert.equal(await reader.getByRole('heading', { name: 'Pages' }).count(), 1, 'it is asked for once')
  const kept = (await reader.context().cookies()).map(({ name, path, httpOnly }) => [name, path, httpOnly])
  assert.deepEqual(kept, [['sotto-link', new URL(link).pathname, true]])
})

test('frame_is_shown_by_an_allowed_host_and_blocked_by_another', async (t) => {
  const link = await makeLink('For the intranet', async () => {
    await owner.locator('summary', { hasText: 'Embedding' }).click()
    await owner.fill('[name=hosts]', 'client.example')
  })
  await check(owner, 'sharing-embedded')
  const code = await owner.locator('#frame').textContent()
  const plain = await makeLink('For nobody to embed')
  // The pages of these hosts are made here; Chromium takes them for those of the internet, which may not embed loopback.
  const args = [...launchArguments, '--disable-features=LocalNetworkAccessChecks']
  const others = await chromium.launch({ executablePath, args })
  t.after(() => others.close())
  const framed = async (host, frame) => {
    const page = await (await others.newContext()).newPage()
    const refused = []
    page.on('console', (message) => refused.push(message.text()))
    await page.route(`https://${host}/**`, (route) => route.fulfill({ contentType: 'text/html', body: `<!doctype html><title>Intranet</title>${frame}` }))
    await page.goto(`https://${host}/`)
    const inner = () => page.frames().find((frame) => frame !== page.mainFrame())
    const state = await until('the frame to be shown or refused', async () => {
      if (await inner()?.locator('#report').count().catch(() => 0)) return 'shown'
      return refused.some((text) => text.includes('frame-ancestors')) && 'blocked'
    })
    return { page, state, inner: inner() }
  }
  const { page, state, inner } = await framed('client.example', code)
  assert.equal(state, 'shown')
  assert.equal(await inner.locator('header').count(), 0, 'without the head of the page')
  await inner.getByRole('link', { name: '/prices' }).click()
  await inner.locator('.chips').waitFor()
  assert.match(inner.url(), /embed=1/)
  if (process.env.SOTTO_SCREENSHOTS) await page.screenshot({ path: `${process.env.SOTTO_SCREENSHOTS}/embedded.png`, fullPage: true })
  for (const host of ['other.example', 'www.client.example', 'client.example.evil.test']) {
    assert.equal((await framed(host, code)).state, 'blocked', host)
  }
  assert.equal((await framed('client.example', `<iframe src="${plain}?embed=1"></iframe>`)).state, 'blocked')
  const alone = await (await browser.newContext()).newPage()
  await alone.goto(link + '?embed=1&theme=system')
  await check(alone, 'shared-embed')
})

test('public_page_and_its_switch_are_accessible', async () => {
  await owner.goto(`${sotto.url}/s/${key}/sharing`)
  await owner.getByRole('button', { name: 'Let anybody read' }).click()
  assert.match(await owner.getByRole('status').textContent(), /Anybody may read/)
  assert.ok(await owner.locator('img[src$="badge.svg"]').evaluate((image) => image.decode().then(() => image.naturalWidth > 50)), 'the badge is drawn')
  await check(owner, 'sharing-public')
  const anybody = await (await browser.newContext()).newPage()
  await anybody.goto(`${sotto.url}/public/${key}`)
  await anybody.getByText('This page shows groups').waitFor()
  await check(anybody, 'public')
  await anybody.goto(`${sotto.url}/trust/${key}`)
  assert.equal(await anybody.getByRole('link', { name: `/public/${key}` }).count(), 1)
})
