// The click map over a site's own page: from the report on clicks by its link to the numbers at the real elements.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { check } from './support/accessible.js'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const HOST = 'shop.example'
const BODY = `<main><h1>Shop</h1><button id="buy">Buy</button><nav><a href="/shop#more">More</a> <a href="/other">Other</a></nav>
  <p>${'and more<br>'.repeat(200)}</p></main>`
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

const shop = () => site.origin.replace('127.0.0.1', HOST)
const tag = (attributes = '') => `<script defer src="${sotto.url}/s.clicks.js" data-site="${key}" data-consent="5" ${attributes}></script>`

/** The link on the report of one page, with the site's port of the test in place of its public address. */
async function overlayLink() {
  await owner.goto(`${sotto.url}/s/${key}/clicks?f=page:is:/shop`)
  const link = await owner.getAttribute('#overlay', 'href')
  assert.ok(link.startsWith(`https://${HOST}/shop#sotto-overlay=${sotto.url}/overlay/`), link)
  return shop() + link.slice(`https://${HOST}`.length)
}

/** Numbers that are drawn, by the path of the element that lies under each. */
const drawn = (page) =>
  page.evaluate(() => {
    const boxes = [...document.querySelector('sotto-overlay').shadowRoot.querySelectorAll('.box')]
    return Object.fromEntries(
      boxes.map((box) => {
        const { x, y, width, height } = box.getBoundingClientRect()
        const under = document.elementFromPoint(x + width / 2, y + height / 2)
        return [under.id || under.textContent, box.textContent]
      }),
    )
  })
const status = (page) => page.locator('sotto-overlay [role=status]').textContent()

test('click_map_lies_over_the_elements_that_were_clicked', async () => {
  site.page('/shop', { tag: tag(), body: BODY })
  const visitor = await (await browser.newContext({ userAgent: PERSON, viewport: { width: 1200, height: 800 } })).newPage()
  await visitor.goto(shop() + '/shop')
  await until('the script', () => visitor.evaluate(() => Boolean(window.sotto?.send)))
  for (let n = 0; n < 3; n++) await visitor.click('#buy')
  await visitor.click('text=More')
  await visitor.mouse.wheel(0, 20_000)
  await until('the scroll', () => visitor.evaluate(() => scrollY > 500))
  await visitor.evaluate(() => history.pushState({}, '', '/left'))
  await sotto.rows(key, 'clicks and scroll', (rows) => ['click', 'engagement'].every((kind) => rows.some((row) => row.kind == kind && row.path == '/shop')))

  const reader = await (await browser.newContext({ userAgent: PERSON, viewport: { width: 1300, height: 800 } })).newPage()
  await reader.goto(await overlayLink())
  await until('the figures', async () => (await reader.locator('sotto-overlay').count()) && /4 clicks on 2 elements/.test(await status(reader)))
  assert.deepEqual(await drawn(reader), { buy: '3 · 75%', More: '1 · 25%' })
  await reader.hover('#buy')
  await until('what is under the pointer', async () =>
    /#buy: 3 clicks, 75% of all; clicked repeatedly in 1 page view[^s]/.test(await reader.locator('sotto-overlay section').textContent()))
  assert.equal(new URL(reader.url()).hash, '', 'the link is gone from the address')
  // The marks are where the elements are, also after scrolling.
  await reader.mouse.wheel(0, 40)
  await until('the marks to follow', async () => {
    const [mark, element, scrolled] = await reader.evaluate(() => [
      document.querySelector('sotto-overlay').shadowRoot.querySelector('.box').getBoundingClientRect().y,
      document.querySelector('#buy').getBoundingClientRect().y,
      scrollY,
    ])
    return scrolled > 0 && Math.abs(mark - element) < 1
  })
  await check(reader, 'overlay')
  await reader.setViewportSize({ width: 1300, height: 800 })
  // How far it is read.
  await reader.locator('sotto-overlay').getByLabel('How far the page is read').check()
  assert.match((await reader.locator('sotto-overlay .line').allTextContents()).join(), /100% of 1 visits came to 25% of the page/)
  await reader.locator('sotto-overlay').getByLabel('How far the page is read').uncheck()
  // Windows like this one: the visitor had one of the same class; on a phone nobody clicked.
  const widths = reader.locator('sotto-overlay select')
  await widths.selectOption('lg')
  await until('figures of the class', async () => /4 clicks/.test(await status(reader)))
  assert.match(await widths.textContent(), /like this one: 992 to 1439 px/)
  // The page stays usable, and its links keep the click map open.
  site.page('/other', { tag: tag(), body: '<h1>Other</h1>' })
  await reader.mouse.wheel(0, -1_000)
  await reader.click('text=Other')
  await until('the figures of the other page', async () =>
    reader.url().endsWith('/other#') && (await reader.locator('sotto-overlay').count()) && /^0 clicks/.test(await status(reader)))

  // What the reader clicks is not counted as a visitor's.
  const clicks = (await sotto.rows(key, 'all', () => true)).filter((row) => row.kind == 'click')
  assert.equal(clicks.length, 1)
})

test('link_is_in_no_stored_address', async () => {
  site.page('/routed', { tag: tag('data-hash'), body: BODY })
  const link = (await overlayLink()).replace('/shop#', '/routed#')
  const reader = await (await browser.newContext({ userAgent: PERSON })).newPage()
  const sent = []
  reader.on('request', (request) => new URL(request.url()).pathname == '/e' && sent.push(request.postData()))
  await reader.goto(link)
  let rows = await sotto.rows(key, 'the page', (rows) => rows.some((row) => row.path.startsWith('/routed')))
  assert.ok(sent.length > 0)
  // Links of a router, which changes the address itself, and of the browser.
  await until('the figures', async () => (await reader.locator('sotto-overlay').count()) && /clicks on/.test(await status(reader)))
  await reader.evaluate(() =>
    document.querySelector('nav').addEventListener('click', (event) => {
      event.preventDefault()
      history.pushState({}, '', event.target.href)
    }),
  )
  await reader.click('text=Other')
  rows = await sotto.rows(key, 'the routed page', (rows) => rows.some((row) => row.path.startsWith('/other')))
  assert.equal(new URL(reader.url()).pathname + new URL(reader.url()).hash, '/other')
  assert.doesNotMatch(sent.join(), /overlay/)
  assert.doesNotMatch(JSON.stringify(rows), /overlay/)
})

test('link_that_was_changed_or_ended_shows_nothing', async () => {
  site.page('/shop', { tag: tag(), body: BODY })
  const link = await overlayLink()
  const reader = await (await browser.newContext({ userAgent: PERSON })).newPage()
  const says = async (address, words) => {
    await reader.goto('about:blank')
    await reader.goto(address)
    await until(words, async () => (await reader.locator('sotto-overlay').count()) && (await status(reader)).includes(words))
    assert.equal(await reader.locator('sotto-overlay .box').count(), 0)
  }
  await says(link.slice(0, -1) + (link.endsWith('0') ? '1' : '0'), 'This link has ended')
  // Somebody else's server that cannot be reached.
  await says(link.replace(sotto.url, 'http://127.0.0.1:9'), 'Sotto cannot be reached')
  await Promise.all([owner.waitForURL(/sign-in/), owner.goto(`${sotto.url}/s/${key}`).then(() => owner.getByRole('button', { name: 'Sign out' }).click())])
  await says(link, 'This link has ended')
})

test('answer_of_another_server_is_drawn_as_numbers_and_never_as_markup', async () => {
  site.page('/shop', { tag: tag(), body: BODY })
  const reader = await (await browser.newContext({ userAgent: PERSON })).newPage()
  await reader.route('http://127.0.0.1:9/**', (route) =>
    route.fulfill({
      headers: { 'access-control-allow-origin': '*' },
      json: {
        site: '<img src=x onerror=hacked=1>', days: '<b>now</b>', least: 0,
        clicks: [{ element: '#buy', clicks: '<img src=x onerror=hacked=1>', repeated: '<i>' }, { element: '*', clicks: 1, repeated: 0 }],
        reading: { measured: '<i>', reached: [] },
      },
    }),
  )
  await reader.goto(`${shop()}/shop#sotto-overlay=http://127.0.0.1:9/overlay/x`)
  await until('the answer', async () => (await reader.locator('sotto-overlay').count()) && /elements/.test(await status(reader)))
  assert.equal(await reader.evaluate(() => window.hacked), undefined)
  assert.equal(await reader.locator('sotto-overlay img, sotto-overlay i').count(), 0)
  assert.match(await reader.locator('sotto-overlay section').textContent(), /Figures from 127\.0\.0\.1:9/)
})

test('tag_with_integrity_fetches_nothing_for_a_link', async () => {
  const text = await (await fetch(`${sotto.url}/s.clicks.js`)).arrayBuffer()
  const digest = Buffer.from(await crypto.subtle.digest('SHA-384', text)).toString('base64')
  site.page('/pinned', { tag: tag(`integrity="sha384-${digest}" crossorigin`), body: BODY })
  const reader = await (await browser.newContext({ userAgent: PERSON })).newPage()
  const asked = []
  reader.on('request', (request) => asked.push(new URL(request.url()).pathname))
  await reader.goto(`${shop()}/pinned#sotto-overlay=${sotto.url}/overlay/x`)
  await until('the script', () => reader.evaluate(() => Boolean(window.sotto?._clicks)))
  assert.deepEqual(asked.filter((path) => /overlay/.test(path)), [])
  assert.equal(await reader.locator('sotto-overlay').count(), 0)
})
