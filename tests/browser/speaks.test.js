// Pages that keep another product's tag and calls, and load the script from Sotto: from the page to the stored row.

import assert from 'node:assert/strict'
import { inChromiumAgainstSotto } from './support/real.js'

const test = inChromiumAgainstSotto()

/** A site of its own for a product, on a host of this machine; `open` shows a page and `rows` gives what was stored. */
async function siteOf({ sotto, site, newContext }, product, policy = 'cookieless') {
  const host = `${product}.localhost`
  const key = await sotto.addSite(host, policy)
  const origin = site.origin.replace('127.0.0.1', host)
  const page = await (await newContext()).newPage()
  const sent = []
  page.on('request', (request) => request.method() == 'POST' && sent.push(new URL(request.url()).pathname))
  page.on('pageerror', (error) => sent.push(String(error)))
  return {
    page,
    origin,
    sent,
    open: async (path, { tag, body }) => {
      site.page(path, { tag, body })
      await page.goto(origin + path)
    },
    rows: async (count) => {
      const told = (rows) => rows.filter((row) => ['pageview', 'custom', 'consent'].includes(row.kind))
      return told(await sotto.rows(key, `${count} rows of ${product}`, (rows) => told(rows).length >= count))
    },
  }
}

/**
 * What was counted, in no order. An event that leaves the page together with its pageview can overtake it, and is stored
 * without its page then: that is so for every page, and not looked at here.
 */
const counted = (rows) => rows.filter((row) => row.kind != 'consent').map(({ kind, path, name, props }) => JSON.stringify(kind == 'pageview' ? path : { name, props: Object.fromEntries(Object.entries(props).sort()) })).sort()
const expected = (...wanted) => wanted.map((each) => JSON.stringify(typeof each == 'string' ? each : { name: each[0], props: each[1] || {} })).sort()

test('page_of_plausible_counts_with_its_own_calls', async (world) => {
  const { page, open, rows, sent, origin } = await siteOf(world, 'plausible')
  const early = `<script>window.plausible = window.plausible || function () { (window.plausible.q = window.plausible.q || []).push(arguments) }
    plausible('Early', { props: { plan: 'pro' } })</script>`
  for (const file of ['script', 'script.outbound-links', 'index', 'plausible.local.hash'])
    assert.equal((await fetch(`${world.sotto.url}/js/${file}.js`)).status, 200, file)
  assert.equal((await fetch(`${world.sotto.url}/js/script.nothing.js`)).status, 404)
  await open('/pricing', { tag: `<script defer data-domain="somewhere.example" data-api="https://plausible.invalid/api/event" src="${world.sotto.url}/js/script.outbound-links.js"></script>${early}`, body: '<a href="https://partner.example/a?b=c">away</a>' })
  const answer = await page.evaluate(() => new Promise((resolve) => plausible('Order', { revenue: { currency: 'EUR', amount: 49.9 }, props: { size: 3, deep: {} }, callback: resolve })))
  assert.equal(answer.status, 202)
  await page.evaluate(() => plausible('pageview', { u: location.origin + '/virtual' }))
  await page.route('https://partner.example/**', (route) => route.fulfill({ body: '' }))
  await page.click('a')
  const stored = await rows(5)
  assert.deepEqual(counted(stored), expected('/pricing', '/virtual', ['Early', { plan: 'pro' }], ['Order', { size: '3' }], ['outbound', { url: 'https://partner.example/a' }]))
  const order = stored.find((row) => row.name == 'Order')
  assert.deepEqual([+order.revenue, order.currency], [49.9, 'EUR'])
  assert.equal(stored.find((row) => row.path == '/pricing').hostname, new URL(origin).hostname)
  assert.deepEqual([...new Set(sent)], ['/e'])
})

test('page_of_umami_counts_with_its_own_calls', async (world) => {
  const { page, open, rows, sent } = await siteOf(world, 'umami')
  const tag = (more = '') => `<script defer src="${world.sotto.url}/script.js" data-website-id="94db1cb1-74f4-4a40-ad6c-962362670409" ${more}></script>`
  await open('/elsewhere', { tag: tag('data-domains="other.example"') })
  await page.evaluate(() => umami.track('Nowhere'))
  await open('/a', { tag: tag(), body: '<button data-umami-event="Sign up" data-umami-event-plan="pro">go</button>' })
  await page.evaluate(() => umami.track('Order', { revenue: 12, currency: 'EUR', plan: 'pro' }))
  await page.evaluate(() => umami.track((props) => ({ ...props, url: '/b', name: '' })))
  await page.evaluate(() => umami.identify('anna'))
  await page.click('button')
  const stored = await rows(4)
  assert.deepEqual(counted(stored), expected('/a', '/b', ['Sign up', { plan: 'pro' }], ['Order', { plan: 'pro' }]))
  assert.equal(+stored.find((row) => row.name == 'Order').revenue, 12)
  assert.deepEqual([...new Set(sent)], ['/e'])
})

test('page_of_matomo_counts_with_its_own_queue', async (world) => {
  const { page, open, rows, sent } = await siteOf(world, 'matomo')
  const tag = `<script>var _paq = window._paq = window._paq || []
    _paq.push(['trackPageView'], ['enableLinkTracking'], ['requireConsent'], [function () { this.getVisitorId() }]);
    (function () {
      var u = '${world.sotto.url}/'
      _paq.push(['setTrackerUrl', u + 'matomo.php'], ['setSiteId', '7'])
      var d = document, g = d.createElement('script'), s = d.getElementsByTagName('script')[0]
      g.async = true; g.src = u + 'matomo.js'; s.parentNode.insertBefore(g, s)
    })()</script>`
  await open('/a', { tag, body: '<a href="/file.pdf" onclick="event.preventDefault()">file</a>' })
  await page.waitForFunction(() => window.sotto?.send)
  await page.evaluate(() => _paq.push(['trackEvent', 'Video', 'Play', 'Intro', 3]))
  await page.click('a')
  assert.deepEqual(sent, [], 'nothing before the consent')
  await page.evaluate(() => _paq.push(['setConsentGiven']))
  await page.evaluate(() => _paq.push(['setCustomUrl', '/b'], ['trackPageView', 'A title'], ['trackGoal', 4], ['trackSiteSearch', 'lamp', 'light', 12]))
  const stored = await rows(7)
  const file = { url: new URL(page.url()).origin + '/file.pdf' }
  assert.deepEqual(
    counted(stored),
    expected('/a', '/b', ['Play', { category: 'Video', name: 'Intro', value: '3' }], ['File download', file], ['Goal 4'], ['Site search', { category: 'light', keyword: 'lamp', results: '12' }]),
  )
  assert.equal(stored.find((row) => row.kind == 'consent').consent_source, 'matomo')
  assert.deepEqual([...new Set(sent)], ['/e'])
})

test('page_of_goatcounter_counts_with_its_own_calls', async (world) => {
  const { page, open, rows, sent } = await siteOf(world, 'goatcounter')
  const tag = (more) => `<script async src="${world.sotto.url}/count.js" data-goatcounter="${world.sotto.url}/count" ${more}></script>`
  await open('/manual', { tag: tag(`data-goatcounter-settings='{"no_onload": true}'`) })
  await page.waitForFunction(() => window.goatcounter?.count)
  await open('/a', { tag: tag('') + '<script>window.goatcounter = { path: (usual) => usual.replace("/a", "/canonical") }</script>', body: '<button data-goatcounter-click="sign-up">go</button>' })
  await page.waitForFunction(() => window.goatcounter?.count)
  await page.click('button')
  await page.evaluate(() => goatcounter.count({ path: 'opened', event: true }))
  await page.evaluate(() => goatcounter.count({ path: '/b' }))
  assert.deepEqual(counted(await rows(4)), expected('/canonical', '/b', ['opened'], ['sign-up']))
  assert.deepEqual([...new Set(sent)], ['/e'])
})

test('consent_that_the_page_tells_beside_another_products_tag_is_on_its_hits', async (world) => {
  const { page, open, rows } = await siteOf(world, 'asked', 'cnil')
  await open('/a', { tag: `<script defer src="${world.sotto.url}/script.js" data-website-id="7"></script>` })
  await page.waitForFunction(() => window.sotto?.send)
  await page.evaluate(() => umami.track('Before', { plan: 'pro' }))
  await rows(2)
  await page.evaluate(() => sotto.consent(5, 'my-dialog'))
  await page.evaluate(() => umami.track('After', { plan: 'pro' }))
  const stored = await rows(4)
  const props = (name) => stored.find((row) => row.name == name).props
  assert.deepEqual([props('Before'), props('After')], [{}, { plan: 'pro' }])
})
