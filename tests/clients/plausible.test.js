import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { bundle, startBrowser } from './support/browser.js'
import { BODY_BYTES_MAX, BOT, assertRow, startSotto } from './support/sotto.js'

const CAMPAIGN = '?utm_source=letter&utm_medium=email&utm_campaign=spring'
const STORY = 'http://news.example/story'
let sotto, browser
before(async () => {
  ;[sotto, browser] = await Promise.all([startSotto(), startBrowser()])
})
after(() => Promise.all([sotto?.stop(), browser?.close()]))

test('official_npm_tracker_sends_pageviews_events_and_engagement', async () => {
  const key = await sotto.site('shop.example')
  const code = await bundle(`
    import { init, track } from '@plausible-analytics/tracker'
    init({ domain: 'shop.example', endpoint: '${browser.stats(sotto)}/api/event' })
    window.buy = () => new Promise((callback) =>
      track('Purchase', { props: { plan: 'pro', seats: 3 }, revenue: { amount: 15.99, currency: 'USD' }, callback }))
    window.play = () => new Promise((callback) => track('autoplay', { interactive: false, callback }))`)
  const { page, answers, close } = await browser.open(browser.origin('shop.example') + '/pricing' + CAMPAIGN, code, STORY)
  await sotto.events(key, 1)
  assert.deepEqual(await page.evaluate(() => window.buy()), { status: 202 })
  assert.deepEqual(await page.evaluate(() => window.play()), { status: 202 })
  await sotto.events(key, 3)
  // The tracker reports how far somebody read when the next page comes.
  await page.evaluate(() => new Promise((resolve) => {
    document.addEventListener('scroll', () => setTimeout(resolve), { once: true })
    scrollTo(0, 2000)
  }))
  await page.evaluate(() => history.pushState({}, '', '/thanks'))
  const [view, buy, play, ...rest] = await sotto.events(key, 5)
  const campaign = { utm_source: 'letter', utm_medium: 'email', utm_campaign: 'spring' }
  assertRow(view, { kind: 'pageview', hostname: 'shop.example', path: '/pricing', referrer_host: 'news.example', ...campaign, browser: 'Chrome', os: 'Windows' })
  assertRow(buy, { kind: 'custom', path: '/pricing', name: 'Purchase', interactive: true, revenue: 15.99, currency: 'USD', props: { plan: 'pro', seats: '3' } })
  assertRow(play, { kind: 'custom', name: 'autoplay', interactive: false })
  const read = rest.find((row) => row.kind == 'engagement')
  assertRow(read, { path: '/pricing' })
  assert.ok(read.scroll > 20 && read.scroll <= 100, String(read.scroll))
  assertRow(rest.find((row) => row.kind == 'pageview'), { path: '/thanks' })
  assert.equal(new Set([view, buy, play, ...rest].map((row) => row.session)).size, 1, 'one visit')
  assert.deepEqual(answers, Array(5).fill('POST /api/event 202'))
  await close()
})

test('older_npm_tracker_sends_pageviews_and_events', async () => {
  const key = await sotto.site('blog.example')
  const code = await bundle(`
    import Plausible from 'plausible-tracker'
    const { trackPageview, trackEvent } = Plausible({ domain: 'blog.example', apiHost: '${browser.stats(sotto)}' })
    window.view = () => new Promise((resolve) => trackPageview({}, { callback: () => resolve(true) }))
    window.sign = () => new Promise((resolve) => trackEvent('Signup', { callback: () => resolve(true), props: { method: 'mail' } }))`)
  const { page, answers, close } = await browser.open(browser.origin('blog.example') + '/post' + CAMPAIGN, code, STORY)
  assert.ok(await page.evaluate(() => window.view()))
  assert.ok(await page.evaluate(() => window.sign()))
  const [view, sign] = await sotto.events(key, 2)
  assertRow(view, { kind: 'pageview', hostname: 'blog.example', path: '/post', referrer_host: 'news.example', utm_source: 'letter', utm_medium: 'email', utm_campaign: 'spring' })
  assertRow(sign, { kind: 'custom', name: 'Signup', path: '/post', props: { method: 'mail' } })
  assert.deepEqual(answers, Array(2).fill('POST /api/event 202'))
  await close()
})

test('api_says_what_was_dropped_and_what_is_invalid', async () => {
  const key = await sotto.site('api.example')
  const event = { name: 'pageview', url: 'https://api.example/a', domain: 'api.example' }
  const send = async (body, headers) => {
    const answer = await sotto.post('/api/event', body, headers)
    return [answer.status, answer.headers.get('x-plausible-dropped'), await answer.text()]
  }
  assert.deepEqual(await send(event, { 'user-agent': BOT }), [202, '1', 'ok'], 'a robot')
  assert.deepEqual(await send({ ...event, domain: 'nobody.example', url: 'https://nobody.example/' }), [202, '1', 'ok'], 'an unknown site')
  assert.equal((await send({ ...event, domain: undefined }))[0], 400)
  assert.match((await send({ ...event, url: undefined }))[2], /"errors"/)
  assert.equal((await send('{'))[0], 400)
  assert.deepEqual(await send(event, { 'content-type': 'application/json' }), [202, null, 'ok'])
  await sotto.events(key, 1)
  assert.equal((await sotto.get('/api/health')).status, 200)
})

test('body_at_the_limit_is_taken_and_a_longer_one_is_not', async () => {
  const key = await sotto.site('limit.example')
  const event = JSON.stringify({ name: 'pageview', url: 'https://limit.example/', domain: 'limit.example' })
  assert.equal((await sotto.post('/api/event', event.padEnd(BODY_BYTES_MAX))).status, 202)
  assert.equal((await sotto.post('/api/event', event.padEnd(BODY_BYTES_MAX + 1))).status, 413)
  await sotto.events(key, 1)
})
