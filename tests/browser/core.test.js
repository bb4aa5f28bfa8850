import assert from 'node:assert/strict'
import { back, hideFromStart, inChromium, restored } from './support/world.js'

const test = inChromium()
const kinds = (hits) => hits.map((hit) => hit.k)
const paths = (hits) => hits.map((hit) => hit.u.replace(/^https?:\/\/[^/]+/, ''))

test('page_load_sends_one_pageview_with_the_documented_keys', async ({ site, collector, newPage, settled, errors }) => {
  const page = await newPage()
  await page.goto(site.origin + '/welcome')
  const hits = await settled(page)
  assert.deepEqual(kinds(hits), ['p'])
  const { i, w, ...rest } = hits[0]
  assert.deepEqual(rest, { v: 1, s: 'k7f3', k: 'p', q: 0, b: 1, u: site.origin + '/welcome' })
  assert.match(i, /^[0-9a-z]{1,16}$/)
  assert.equal(w, await page.evaluate(() => innerWidth))
  assert.deepEqual(errors, [])
})

test('hit_is_a_simple_request_without_preflight_or_credentials', async ({ site, collector, context, newPage, settled }) => {
  await context.addCookies([{ name: 'session', value: 'secret', url: collector.origin }])
  const page = await newPage()
  await page.goto(site.origin + '/')
  await settled(page)
  const [first] = collector.received
  assert.deepEqual(collector.received.filter((r) => r.method != 'POST'), [])
  assert.equal(first.headers['content-type'], 'text/plain;charset=UTF-8')
  assert.equal(first.headers.origin, site.origin)
  assert.equal(first.headers.cookie, undefined)
})

test('visit_leaves_no_cookie_and_no_storage', async ({ site, collector, context, newPage, settled }) => {
  const page = await newPage()
  await page.goto(site.origin + '/')
  await settled(page)
  assert.deepEqual(await context.cookies(), [])
  assert.deepEqual(await page.evaluate(async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]), [0, 0, 0])
})

test('router_push_counts_a_view_with_a_new_id', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await page.evaluate(() => history.pushState({}, '', '/b'))
  const [first, second] = await collector.pageviews(2)
  assert.deepEqual(paths([first, second]), ['/a', '/b'])
  assert.notEqual(first.i, second.i)
  assert.equal(second.q, 0)
  assert.equal(second.r, undefined)
})

test('router_replacing_and_pushing_counts_once', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await page.evaluate(() => {
    history.replaceState({ scroll: 1 }, '', '/a') // Vue's router saves the scroll position first
    history.pushState({}, '', '/b')
    history.replaceState({ key: 2 }, '', '/b')
    history.replaceState({ key: 3 }, '', '/b?session=1') // a parameter that is never sent
  })
  await collector.pageviews(2)
  assert.deepEqual(paths((await settled(page)).filter((hit) => hit.k == 'p')), ['/a', '/b'])
})

test('history_back_within_a_document_counts_a_view', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await page.evaluate(() => history.pushState({}, '', '/b'))
  await collector.pageviews(2)
  await page.evaluate(() => history.back())
  assert.deepEqual(paths(await collector.pageviews(3)), ['/a', '/b', '/a'])
})

test('browser_without_navigation_api_counts_router_views_once', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await page.addInitScript(() => Object.defineProperty(window, 'navigation', { value: undefined }))
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await page.evaluate(() => {
    history.pushState({}, '', '/b')
    history.replaceState({}, '', '/b')
  })
  await collector.pageviews(2)
  await page.evaluate(() => history.back())
  await collector.pageviews(3)
  assert.deepEqual(paths((await settled(page)).filter((hit) => hit.k == 'p')), ['/a', '/b', '/a'])
})

test('hash_change_is_no_view_by_default', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a#top')
  await collector.pageviews(1)
  await page.evaluate(() => (location.hash = '#/b'))
  assert.deepEqual(paths((await settled(page)).filter((hit) => hit.k == 'p')), ['/a'])
})

test('hash_change_is_a_view_when_the_tag_says_so', async ({ site, collector, newPage, install }) => {
  install('data-hash')
  const page = await newPage()
  await page.goto(site.origin + '/a#/one')
  await collector.pageviews(1)
  await page.evaluate(() => (location.hash = '#/two'))
  assert.deepEqual(paths(await collector.pageviews(2)), ['/a#/one', '/a#/two'])
})

test('page_restored_from_back_forward_cache_counts_a_view_without_the_frozen_time', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.addInitScript(() => addEventListener('pageshow', (event) => (window.restored = event.persisted)))
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await page.goto(site.origin + '/b')
  await collector.pageviews(2)
  const frozenSince = Date.now()
  await page.waitForFunction((since) => Date.now() - since > 2500, frozenSince)
  await back(page)
  const [first, , third] = await collector.pageviews(3)
  assert.equal(await restored(page, '/a'), true, 'the browser did not use its cache')
  assert.equal(third.u, first.u)
  assert.notEqual(third.i, first.i)
  await page.close()
  await collector.hit('engagement of the restored view', (hit) => hit.k == 'e' && hit.i == third.i)
  for (const hit of collector.hits('e').filter((hit) => [first.i, third.i].includes(hit.i)))
    assert.ok(hit.e < 2500, `${hit.e} ms include the time in the cache`)
})

test('page_hidden_at_load_counts_at_the_first_visible_moment', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await hideFromStart(page)
  await page.goto(site.origin + '/a')
  await page.evaluate(() => window.sotto('early'))
  assert.deepEqual(collector.received, [])
  await page.evaluate(() => window.setHidden(false))
  await collector.pageviews(1)
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => hit.n ?? hit.k), ['p', 'early'])
})

test('tab_close_delivers_engagement', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  const [view] = await collector.pageviews(1)
  await page.waitForFunction(() => performance.now() > 1500)
  await page.close()
  const hit = await collector.hit('engagement', (hit) => hit.k == 'e')
  assert.equal(hit.i, view.i)
  assert.ok(hit.e >= 1000 && hit.e < 15_000, `${hit.e} ms`)
  assert.equal(hit.d, 100)
})

test('navigation_delivers_engagement_of_the_page_left', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  const [view] = await collector.pageviews(1)
  await page.goto(site.origin + '/b')
  const hit = await collector.hit('engagement', (hit) => hit.k == 'e' && hit.i == view.i)
  assert.equal(typeof hit.e, 'number')
})

test('engagement_is_reported_as_deltas_with_a_sequence', async ({ site, collector, newPage }) => {
  site.page('/long', { body: '<div style="height:6000px">long</div>' })
  const page = await newPage()
  await hideFromStart(page)
  await page.goto(site.origin + '/long')
  await page.evaluate(() => window.setHidden(false))
  const [view] = await collector.pageviews(1)

  const visibleFor = async (ms) => {
    const since = await page.evaluate(() => performance.now())
    await page.waitForFunction((end) => performance.now() > end, since + ms)
    await page.evaluate(() => window.setHidden(true))
  }
  await visibleFor(1200)
  const first = await collector.hit('first report', (hit) => hit.k == 'e' && hit.q == 1)
  // Hidden time is nobody's attention.
  const hiddenSince = await page.evaluate(() => performance.now())
  await page.waitForFunction((end) => performance.now() > end, hiddenSince + 2000)
  await page.evaluate(() => window.setHidden(false))
  await page.evaluate(() => scrollTo(0, 3000))
  await page.waitForFunction(() => scrollY == 3000)
  await visibleFor(1200)
  const second = await collector.hit('second report', (hit) => hit.k == 'e' && hit.q == 2)

  assert.deepEqual([first.i, second.i], [view.i, view.i])
  assert.ok(first.e >= 1000 && second.e >= 1000, `${first.e} and ${second.e} ms`)
  const elapsed = await page.evaluate(() => performance.now())
  assert.ok(first.e + second.e < elapsed - 2000, `${first.e} + ${second.e} of ${elapsed} ms include hidden time`)
  assert.ok(first.d < 30 && second.d > 50 && second.d < 80, `depths ${first.d} and ${second.d}`)
})

test('second_hide_without_news_sends_nothing', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await hideFromStart(page)
  await page.goto(site.origin + '/a')
  await page.evaluate(() => {
    window.setHidden(false)
    for (let i = 0; i < 3; i++) {
      window.setHidden(true)
      window.setHidden(false)
    }
    window.dispatchEvent(new Event('pagehide'))
  })
  assert.deepEqual(kinds(await settled(page)), ['p', 'e'])
})

test('router_view_starts_with_a_depth_of_its_own', async ({ site, collector, newPage }) => {
  site.page('/long', { body: '<div id="main" style="height:6000px">long</div>' })
  const page = await newPage()
  await page.goto(site.origin + '/long')
  const [first] = await collector.pageviews(1)
  await page.evaluate(() => scrollTo(0, 6000))
  await page.waitForFunction(() => scrollY > 3000)
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  await page.evaluate(() => {
    history.pushState({}, '', '/longer')
    document.getElementById('main').style.height = '60000px'
    scrollTo(0, 0)
  })
  const second = (await collector.pageviews(2))[1]
  await page.close()
  const left = await collector.hit('engagement', (hit) => hit.k == 'e' && hit.i == first.i)
  const closed = await collector.hit('engagement', (hit) => hit.k == 'e' && hit.i == second.i)
  assert.equal(left.d, 100)
  assert.ok(closed.d < 20, `depth ${closed.d}`)
})

test('custom_event_carries_props_and_revenue', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/shop')
  const [view] = await collector.pageviews(1)
  await page.evaluate(() => window.sotto('purchase', { plan: 'pro', seats: 3, trial: false }, 49.9, 'EUR'))
  const hit = await collector.hit('event', (hit) => hit.k == 'x')
  assert.equal(hit.i, view.i)
  assert.equal(hit.n, 'purchase')
  assert.deepEqual(hit.p, { plan: 'pro', seats: 3, trial: false })
  assert.deepEqual(hit.m$, { a: 49.9, c: 'EUR' })
})

test('calls_before_the_script_are_sent_after_the_pageview', async ({ site, collector, newPage, settled, tag }) => {
  site.page('/early', {
    tag: `<script>window.sotto=window.sotto||function(){(sotto.q=sotto.q||[]).push(arguments)};sotto('first',{n:1})</script>${tag()}<script>sotto('second')</script>`,
  })
  const page = await newPage()
  await page.goto(site.origin + '/early')
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => hit.n ?? hit.k), ['p', 'first', 'second'])
  assert.deepEqual(hits[1].p, { n: 1 })
})

test('manual_mode_counts_only_what_is_asked_for', async ({ site, collector, newPage, settled, install }) => {
  install('data-manual')
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await page.evaluate(() => {
    window.sotto('before')
    history.pushState({}, '', '/b')
    window.sotto('pageview', { u: '/virtual?secret=1&utm_source=news' })
  })
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => hit.n ?? hit.k), ['before', 'p'])
  assert.match(hits[0].i, /^[0-9a-z]{1,16}$/)
  assert.deepEqual(paths([hits[1]]), ['/virtual?utm_source=news'])
})

test('query_is_reduced_to_campaign_parameters', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a?email=ann@example.org&utm_source=news&utm_id=7&token=abc&ref=hn&gclid=Cj0KCQ&via=x&source=y&q=words#secret')
  const [view] = await collector.pageviews(1)
  assert.deepEqual(paths([view]), ['/a?utm_source=news&utm_id=7&ref=hn&gclid&via=x&source=y'])
})

test('value_of_another_parameter_is_not_taken_for_a_campaign', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a?next=/b?ref=secret&UTM_Medium=email&x-ref=secret&ref_id=secret&my.gclid=secret&gclidx=secret&q=utm_source=secret')
  const [view] = await collector.pageviews(1)
  assert.deepEqual(paths([view]), ['/a?UTM_Medium=email'])
})

test('parameter_that_is_not_sent_makes_no_view_of_its_own', async ({ site, newPage, settled, collector }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a?utm_source=news&GCLID=x')
  await collector.pageviews(1)
  for (const query of ['?tab=1&utm_source=news&GCLID=x', '?utm_source=news&tab=2&GCLID=y', '?utm_source=news&GCLID=x&tab='])
    await page.evaluate((query) => history.replaceState({}, '', query), query)
  assert.deepEqual(paths(await settled(page)), ['/a?utm_source=news&GCLID'])
})

test('credentials_in_the_address_are_not_sent', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin.replace('//', '//ann:secret@') + '/a')
  const [view] = await collector.pageviews(1)
  assert.equal(view.u, site.origin + '/a')
})

test('same_origin_referrer_is_cleaned_like_the_address', async ({ site, collector, newPage }) => {
  site.page('/from', { tag: '', body: '<a href="/to">to</a>' })
  const page = await newPage()
  await page.goto(site.origin + '/from?email=ann@example.org&utm_source=news#x')
  await page.click('a')
  const [view] = await collector.pageviews(1)
  assert.equal(view.r, site.origin + '/from?utm_source=news')
})

test('cross_origin_referrer_is_reduced_to_origin_and_path', async ({ site, collector, newPage }) => {
  const page = await newPage()
  const other = site.origin.replace('127.0.0.1', 'localhost')
  site.page('/from', { tag: '', head: '<meta name="referrer" content="unsafe-url">', body: `<a href="${site.origin}/to">to</a>` })
  await page.goto(other + '/from?q=private+words&utm_source=mine')
  await page.click('a')
  const [view] = await collector.pageviews(1)
  assert.equal(view.r, other + '/from')
})

test('over_long_address_is_cut_to_the_limit_of_the_wire', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/' + 'a'.repeat(3000))
  const [view] = await collector.pageviews(1)
  assert.equal(view.u.length, 2048)
})

test('visitor_who_opted_out_sends_nothing', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.addInitScript(() => (localStorage.sotto_ignore = '1'))
  await page.goto(site.origin + '/a')
  await page.evaluate(() => {
    window.sotto('event')
    window.sotto.consent(15)
    history.pushState({}, '', '/b')
  })
  await page.goto('about:blank')
  const control = await newPage() // shares the storage of the context, so the key is removed first
  await control.addInitScript(() => delete localStorage.sotto_ignore)
  await control.goto(site.origin + '/control')
  await settledOnly(collector, '/control')
})

test('forbidden_storage_does_not_stop_counting', async ({ site, collector, newPage, errors }) => {
  const page = await newPage()
  await page.addInitScript(() =>
    Object.defineProperty(window, 'localStorage', {
      get() {
        throw new DOMException('denied', 'SecurityError')
      },
    }),
  )
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  assert.deepEqual(errors, [])
})

test('loopback_host_is_skipped_unless_the_tag_says_otherwise', async ({ site, collector, newPage, tag }) => {
  site.page('/skipped', { tag: tag().replace('data-local', '') })
  const page = await newPage()
  await page.goto(site.origin + '/skipped')
  await page.evaluate(() => window.sotto('event'))
  await page.goto(site.origin + '/counted')
  await settledOnly(collector, '/counted')
})

test('frame_is_skipped_unless_the_tag_says_otherwise', async ({ site, collector, newPage, tag, settled }) => {
  site.page('/outer', { tag: '', body: '<iframe src="/inner"></iframe><iframe src="/framed"></iframe>' })
  site.page('/framed', { tag: tag('data-frame') })
  const page = await newPage()
  await page.goto(site.origin + '/outer')
  await collector.pageviews(1)
  const frame = page.frames().find((frame) => frame.url().endsWith('/framed'))
  assert.deepEqual(paths((await settled(frame)).filter((hit) => hit.k == 'p')), ['/framed'])
})

test('script_included_twice_counts_once', async ({ site, collector, newPage, settled, tag }) => {
  site.page('/twice', { tag: tag() + tag() + tag('', ['auto']) + tag('', ['auto']), body: '<button data-sotto="Tap">tap</button>' })
  const page = await newPage()
  await page.goto(site.origin + '/twice')
  await collector.pageviews(1)
  await page.click('button')
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => hit.n ?? hit.k), ['p', 'Tap'])
})

test('full_keepalive_quota_keeps_the_hit_and_sends_it_later_with_its_age', async (world) => {
  const { site, collector, newPage } = world
  world.anyHit = true // a value of 10 KB
  const page = await newPage()
  await page.addInitScript(() => {
    const original = window.fetch
    window.refused = 0
    window.fetch = (...call) => original(...call).catch((error) => (window.refused++, Promise.reject(error)))
  })
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  // Another script of the page holds nearly all of the 64 KiB that all scripts share.
  await page.evaluate((url) => {
    const hung = fetch(url, { method: 'POST', keepalive: true, body: 'x'.repeat(60_000) })
    window.hung = hung.then(() => true)
    window.sotto('refused', { text: 'y'.repeat(10_000) })
  }, collector.origin + '/hang')
  await page.waitForFunction(() => window.refused == 1)
  const since = await page.evaluate(() => performance.now())
  await page.waitForFunction((end) => performance.now() > end, since + 300)
  collector.release()
  await page.evaluate(() => window.hung)
  await page.evaluate(() => window.sotto('later'))
  const late = await collector.hit('the refused hit', (hit) => hit.n == 'refused')
  assert.ok(late.a >= 300 && late.a < 15_000, `age ${late.a}`)
  assert.equal(late.q, 1)
  assert.equal((await collector.hit('later hit', (hit) => hit.n == 'later')).a, undefined)
})

test('busy_server_gets_the_hit_again_with_the_same_sequence', async ({ site, collector, newPage, settled }) => {
  collector.answer(503)
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await collector.until('a refused pageview', () => collector.received.length == 1)
  await page.waitForLoadState('networkidle')
  collector.answer(204)
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => [hit.k, hit.q]), [['p', 0]])
  assert.ok(hits[0].a > 0)
  const { a, ...again } = hits[0]
  assert.deepEqual(again, collector.received[0].hit)
})

test('offline_queue_is_bounded', async ({ site, collector, context, newPage }) => {
  const page = await newPage()
  await page.addInitScript(() => {
    const { fetch } = window
    window.tried = []
    window.fetch = (...request) => {
      const answer = fetch(...request)
      window.tried.push(answer)
      return answer
    }
  })
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await context.setOffline(true)
  await page.evaluate(async () => {
    for (let i = 0; i < 30; i++) {
      window.sotto('lost' + i)
      // What is kept is tried again with each hit: all must have failed before the next.
      while (window.tried.length) await Promise.allSettled(window.tried.splice(0))
    }
  })
  await context.setOffline(false)
  await page.evaluate(() => window.sotto('back'))
  await collector.hit('event', (hit) => hit.n == 'back')
  await collector.until('nine kept hits', () => collector.hits('x').filter((hit) => hit.n != 'back').length >= 9)
  await page.evaluate(() => window.sotto('end'))
  await collector.hit('event', (hit) => hit.n == 'end')
  const kept = collector.hits('x').filter((hit) => /^lost/.test(hit.n))
  assert.equal(kept.length, 9)
  assert.equal(new Set(kept.map((hit) => hit.q)).size, 9)
})

test('strict_policy_with_nonce_and_trusted_types_has_no_violation', async ({ site, collector, newPage, settled, tag }) => {
  site.page('/strict', {
    tag: `<script nonce="n0nce">window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective+' '+e.blockedURI))</script>` +
      tag('nonce="n0nce" data-consent="15"', ['auto', 'clicks', 'vitals']),
    headers: {
      'content-security-policy': `default-src 'none'; script-src 'nonce-n0nce' 'strict-dynamic'; connect-src ${collector.origin}; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'`,
    },
    body: '<button data-sotto="Tap">tap</button>',
  })
  const page = await newPage()
  await page.goto(site.origin + '/strict')
  await collector.pageviews(1)
  await page.click('button')
  await settled(page)
  assert.deepEqual(await page.evaluate(() => window.violations), [])
})

test('blocked_connection_does_not_throw', async ({ site, collector, newPage, tag, errors }) => {
  site.page('/blocked', {
    tag: `<script nonce="n0nce">window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective))</script>` + tag('nonce="n0nce"'),
    headers: { 'content-security-policy': `script-src 'nonce-n0nce'; connect-src 'none'` },
  })
  const page = await newPage()
  await page.goto(site.origin + '/blocked')
  await page.waitForFunction(() => window.violations.includes('connect-src'))
  await page.evaluate(() => window.sotto('event'))
  await page.goto('about:blank')
  assert.deepEqual(errors, [])
  assert.deepEqual(collector.received, [])
})

test('integrity_attribute_admits_the_exact_bytes_only', async ({ site, collector, newPage, tag }) => {
  const { integrity, script } = await import('./support/collector.js')
  site.page('/right', { tag: tag(`crossorigin="anonymous" integrity="${integrity(script())}"`) })
  site.page('/wrong', { tag: tag(`crossorigin="anonymous" integrity="${integrity(script() + ' ')}"`) })
  const page = await newPage()
  await page.goto(site.origin + '/wrong')
  assert.equal(await page.evaluate(() => typeof window.sotto), 'undefined')
  await page.goto(site.origin + '/right')
  await settledOnly(collector, '/right')
})

test('endpoint_attribute_overrides_the_place_of_the_script', async ({ site, collector, newPage, tag }) => {
  site.page('/proxied', { tag: tag(`data-api="${collector.origin}/e?via=proxy"`) })
  const page = await newPage()
  await page.goto(site.origin + '/proxied')
  await collector.pageviews(1)
})

test('undecided_visitor_sends_no_mask', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  const [view] = await collector.pageviews(1)
  assert.equal('c' in view, false)
})

test('start_mask_of_the_tag_is_on_every_hit', async ({ site, newPage, settled, install }) => {
  install('data-consent="5"')
  const page = await newPage()
  await page.goto(site.origin + '/a')
  await page.evaluate(() => window.sotto('event'))
  assert.deepEqual((await settled(page)).map((hit) => hit.c), [5, 5])
})

test('decision_refusal_and_withdrawal_are_told_and_hold_for_later_hits', async ({ site, collector, newPage, settled }) => {
  const page = await newPage()
  await page.addInitScript(() => {
    window.told = []
    addEventListener('sotto:consent', (event) => window.told.push(event.detail))
  })
  await page.goto(site.origin + '/a')
  await collector.pageviews(1)
  await page.evaluate(() => {
    window.sotto.consent(13, 'klaro')
    window.sotto('granted')
    window.sotto.consent(0)
    window.sotto('withdrawn')
  })
  const hits = await settled(page)
  assert.deepEqual(hits.map((hit) => [hit.n ?? hit.k, hit.c, hit.src]), [
    ['p', undefined, undefined],
    ['o', 13, 'klaro'],
    ['granted', 13, undefined],
    ['o', 1, undefined],
    ['withdrawn', 1, undefined],
  ])
  assert.deepEqual(await page.evaluate(() => window.told), [13, 1])
})

test('automation_is_flagged', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.goto(site.origin + '/a')
  assert.equal((await collector.pageviews(1))[0].b, 1)
})

test('ordinary_browser_has_no_automation_flag', async ({ site, collector, newPage }) => {
  const page = await newPage()
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'webdriver', { get: () => false }))
  await page.goto(site.origin + '/a')
  assert.equal('b' in (await collector.pageviews(1))[0], false)
})

/** The next pageview is of this path: nothing was sent before it. */
async function settledOnly(collector, path) {
  assert.deepEqual(paths(await collector.pageviews(1)), [path])
  assert.deepEqual(kinds(collector.hits().slice(0, 1)), ['p'])
}
