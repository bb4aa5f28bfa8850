// What Playwright cannot show, because its page sessions forbid prerendering and keep every tab "visible".

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import puppeteer from 'puppeteer-core'
import { startCollector } from './support/collector.js'
import { startSite } from './support/site.js'
import { executablePath, launchArguments } from './support/world.js'

let browser, site, collector

before(async () => {
  browser = await puppeteer.launch({ executablePath, args: launchArguments, headless: true })
  ;[site, collector] = await Promise.all([startSite(), startCollector()])
  site.tag(`<script defer src="${collector.origin}/s.js" data-site="k7f3" data-local></script>`)
})
after(async () => {
  await browser?.close()
  await Promise.all([site?.close(), collector?.close()])
})

test('prerendered_page_counts_when_it_is_activated', async () => {
  site.page('/from', {
    body: `<a href="/prerendered">next</a>`,
    head: `<script type="speculationrules">{"prerender":[{"urls":["/prerendered"],"eagerness":"immediate"}]}</script>`,
  })
  site.page('/prerendered', { body: '<h1>next</h1><script>addEventListener("load",()=>fetch("/loaded"))</script>' })
  const loaded = new Promise((resolve) => site.onRequest('/loaded', resolve))
  const prerendered = new Promise((resolve) => site.onRequest('/prerendered', resolve))
  const page = await browser.newPage()
  await page.goto(site.origin + '/from')
  const request = await prerendered
  assert.match(request.headers['sec-purpose'] ?? '', /prerender/)
  await collector.pageviews(1)
  // The prerendered document has run the script when it asks for this.
  await loaded
  assert.deepEqual(collector.hits('p').map((hit) => new URL(hit.u).pathname), ['/from'])
  await page.click('a')
  const views = await collector.pageviews(2)
  assert.deepEqual(views.map((hit) => new URL(hit.u).pathname), ['/from', '/prerendered'])
  const start = await page.evaluate(() => performance.getEntriesByType('navigation')[0].activationStart)
  assert.ok(start > 0, 'the page was not prerendered')
  await page.close()
})

test('tab_opened_in_the_background_counts_when_it_is_brought_to_front', async () => {
  const front = await browser.newPage()
  await front.goto('about:blank')
  const before = collector.hits('p').length
  const session = await browser.target().createCDPSession()
  await session.send('Target.createTarget', { url: site.origin + '/background', background: true })
  const target = await browser.waitForTarget((candidate) => candidate.url().endsWith('/background'))
  const page = await target.page()
  await page.waitForFunction(() => typeof window.sotto == 'function' && document.readyState == 'complete', { polling: 50 })
  assert.equal(await page.evaluate(() => document.visibilityState), 'hidden')
  assert.equal(collector.hits('p').length, before)
  await page.bringToFront()
  const views = await collector.pageviews(before + 1)
  assert.equal(new URL(views.at(-1).u).pathname, '/background')
  await front.close()
  await page.close()
})
