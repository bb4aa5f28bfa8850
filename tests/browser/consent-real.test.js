// Consent managers that can be had from npm, in the versions of package.json, run as a site would run them.
// Each: nothing before a decision, then accept, partial, refuse (a withdrawal), and the choice after a reload.

import assert from 'node:assert/strict'
import { MANAGERS } from './support/managers.js'
import { inChromium } from './support/world.js'

const test = inChromium()

for (const [name, { head, steps }] of Object.entries(MANAGERS))
  test(`${name.replaceAll('-', '_')}_decisions_reach_the_server_and_survive_a_reload`, async ({ site, collector, newPage, install, context, settled, errors }) => {
    // Nothing outside the loopback is needed; managers that call home must not reach it from a test.
    await context.route((url) => url.hostname != '127.0.0.1', (route) => route.abort())
    install('', ['consent', 'consent-' + name])
    site.page('/page', { body: '<h1>Shop</h1>' + (await head()) })
    const page = await newPage()
    await page.goto(site.origin + '/page')
    const [view] = await collector.pageviews(1)
    assert.equal('c' in view, false, 'undecided at first')
    assert.deepEqual((await settled(page)).filter((hit) => hit.k == 'o'), [], 'undecided before a choice')

    for (const [n, [choose, mask]] of steps.entries()) {
      await choose(page)
      const decision = await collector.until(`decision ${n + 1} (${mask})`, () => collector.hits('o').at(n)?.c == mask && collector.hits('o').at(n))
      assert.equal(decision.src, name)
    }
    assert.deepEqual(collector.hits('o').map((hit) => hit.c), steps.map(([, mask]) => mask))

    const last = steps.at(-1)[1]
    await page.reload()
    const again = (await collector.pageviews(2))[1]
    if (!('c' in again)) await collector.hit('stored decision', (hit) => hit.i == again.i && hit.k == 'o' && hit.c == last)
    else assert.equal(again.c, last)
    assert.deepEqual(errors, [])
  })

test('klaro_toggle_that_is_not_saved_is_no_decision', async ({ site, collector, newPage, install, settled }) => {
  install('', ['consent', 'consent-klaro'])
  site.page('/page', { body: '<h1>Shop</h1>' + MANAGERS.klaro.head() })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  await page.click('.cm-btn-accept-all')
  await collector.hit('decision', (hit) => hit.c == 13)
  await page.evaluate(() => klaro.getManager().updateConsent('stats', false))
  await settled(page)
  assert.deepEqual(collector.hits('o').map((hit) => hit.c), [13])
})
