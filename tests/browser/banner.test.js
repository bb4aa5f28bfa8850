import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import { inChromium } from './support/world.js'

const test = inChromium()
const pictures = join(import.meta.dirname, 'test-results')
const LANGUAGES = ['en', 'de', 'fr', 'es', 'it', 'pt', 'nl']

async function open(world, { attributes = '', body = '<main><h1>Shop</h1><p><a href="/other">other</a></p></main>', before, page } = {}) {
  world.install(attributes, ['banner'])
  world.site.page('/page', { body })
  page ??= await world.newPage()
  if (before) await page.addInitScript(before)
  await page.goto(world.site.origin + '/page')
  await world.collector.hit('pageview', (hit) => hit.k == 'p')
  return page
}

const cookie = async (context) => (await context.cookies()).find(({ name }) => name == 'sotto_consent')
const decisions = (world) => world.collector.hits('o')

test('first_visit_asks_and_is_undecided', async (world) => {
  const page = await open(world)
  await page.getByRole('dialog', { name: 'Your privacy' }).waitFor()
  assert.equal('c' in world.collector.hits('p')[0], false)
  assert.equal(await cookie(world.context), undefined)
})

test('accept_all_is_told_with_a_receipt_and_kept_at_most_six_months', async (world) => {
  const page = await open(world, { attributes: 'data-policy-version="2026-01"' })
  await page.getByRole('button', { name: 'Accept all' }).click()
  const hit = await world.collector.hit('decision', (hit) => hit.k == 'o')
  assert.equal(hit.c, 15)
  assert.equal(hit.src, 'banner')
  assert.match(hit.rc.i, /^[0-9a-z]{16}$/)
  assert.deepEqual({ ...hit.rc, i: '' }, { i: '', v: '2026-01', l: 'en' })
  assert.equal(await page.getByRole('dialog').count(), 0)
  const kept = await cookie(world.context)
  assert.equal(kept.value.split('.')[2], hit.rc.i)
  assert.equal(kept.sameSite, 'Lax')
  const days = (kept.expires - Date.now() / 1000) / 86_400
  assert.ok(days > 170 && days <= 182, `${days} days`)
})

test('reject_all_is_told_and_kept_as_well', async (world) => {
  const page = await open(world)
  await page.getByRole('button', { name: 'Reject all' }).click()
  assert.equal((await world.collector.hit('decision', (hit) => hit.k == 'o')).c, 1)
  await page.reload()
  const views = await world.collector.pageviews(2)
  assert.equal(views[1].c, 1)
  assert.equal(await page.getByRole('dialog').count(), 0)
})

test('escape_refuses', async (world) => {
  const page = await open(world)
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  assert.equal((await world.collector.hit('decision', (hit) => hit.k == 'o')).c, 1)
})

test('categories_can_be_chosen_one_by_one_and_none_is_ticked_before', async (world) => {
  const page = await open(world)
  await page.getByText('Choose by category').click()
  const boxes = page.getByRole('checkbox')
  assert.deepEqual(await boxes.evaluateAll((all) => all.map((box) => [box.checked, box.disabled])), [[true, true], [false, false], [false, false], [false, false]])
  await page.getByRole('checkbox', { name: /Analytics/ }).check()
  await page.getByRole('button', { name: 'Save choice' }).click()
  assert.equal((await world.collector.hit('decision', (hit) => hit.k == 'o')).c, 5)
})

test('whole_choice_can_be_made_with_the_keyboard', async (world) => {
  const page = await open(world)
  await page.getByRole('dialog').waitFor()
  const focused = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.textContent ?? document.activeElement.textContent)
  assert.equal(await focused(), 'Your privacy')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Reject all')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Accept all')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter') // unfolds the categories
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Space') // analytics, after preference
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Save choice')
  await page.keyboard.press('Enter')
  assert.equal((await world.collector.hit('decision', (hit) => hit.k == 'o')).c, 5)
})

test('page_beside_the_banner_stays_usable', async (world) => {
  const page = await open(world)
  await page.getByRole('dialog').waitFor()
  await page.click('text=other')
  await page.waitForURL('**/other')
})

test('reject_and_accept_look_the_same', async (world) => {
  const page = await open(world)
  const look = (name) =>
    page.getByRole('button', { name }).evaluate((button) => {
      const { color, backgroundColor, borderColor, fontSize, fontWeight } = getComputedStyle(button)
      const { width, height, top } = button.getBoundingClientRect()
      return { color, backgroundColor, borderColor, fontSize, fontWeight, width, height, top }
    })
  assert.deepEqual(await look('Reject all'), await look('Accept all'))
})

test('targets_are_at_least_24_pixels', async (world) => {
  const page = await open(world, { attributes: 'data-policy="/privacy"' })
  await page.getByText('Choose by category').click()
  for (const target of await page.locator('button, summary, label, dialog a').all()) {
    const { width, height } = await target.boundingBox()
    assert.ok(width >= 24 && height >= 24, `${await target.textContent()}: ${width} x ${height}`)
  }
})

test('stored_choice_is_on_the_first_hit_and_not_told_again', async (world) => {
  const page = await open(world)
  await page.getByRole('button', { name: 'Accept all' }).click()
  await world.collector.hit('decision', (hit) => hit.k == 'o')
  await page.reload()
  assert.equal((await world.collector.pageviews(2))[1].c, 15)
  await world.settled(page)
  assert.equal(decisions(world).length, 1)
})

test('new_policy_version_asks_again', async (world) => {
  const page = await open(world, { attributes: 'data-policy-version="1"' })
  await page.getByRole('button', { name: 'Accept all' }).click()
  await world.collector.hit('decision', (hit) => hit.k == 'o')
  await open(world, { attributes: 'data-policy-version="2"', page })
  await page.getByRole('dialog').waitFor()
  assert.equal('c' in (await world.collector.pageviews(2))[1], false)
})

test('withdrawal_is_one_click_from_the_reopened_banner', async (world) => {
  const page = await open(world, { body: '<h1>Shop</h1><footer><a href="#" data-sotto-consent>Cookies</a></footer>' })
  await page.getByRole('button', { name: 'Accept all' }).click()
  assert.equal(await page.getByRole('button', { name: 'Privacy settings' }).count(), 0, 'the page has a link of its own')
  await page.click('text=Cookies')
  await page.getByRole('dialog').waitFor()
  assert.deepEqual(await page.getByRole('checkbox').evaluateAll((all) => all.map((box) => box.checked)), [true, true, true, true])
  await page.getByText(/Receipt: [0-9a-z]{16}/).waitFor()
  await page.getByRole('button', { name: 'Reject all' }).click()
  await world.collector.hit('withdrawal', (hit) => hit.k == 'o' && hit.c == 1)
  assert.deepEqual(decisions(world).map((hit) => hit.c), [15, 1])
  assert.notEqual(decisions(world)[0].rc.i, decisions(world)[1].rc.i)
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Cookies', 'the focus goes back')
})

test('page_without_a_link_gets_a_button_to_reopen', async (world) => {
  const page = await open(world)
  await page.getByRole('button', { name: 'Reject all' }).click()
  await page.getByRole('button', { name: 'Privacy settings' }).click()
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Escape')
  assert.equal(await page.getByRole('dialog').count(), 0)
  assert.equal(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.textContent), 'Privacy settings')
  await world.settled(page)
  assert.equal(decisions(world).length, 1, 'closing the reopened banner decides nothing')
})

test('global_privacy_control_keeps_marketing_off', async (world) => {
  const page = await open(world, { before: () => Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true }) })
  await page.getByText('Choose by category').click()
  const box = page.getByRole('checkbox', { name: /Marketing/ })
  assert.deepEqual([await box.isChecked(), await box.isDisabled()], [false, true])
  await page.getByText('Global Privacy Control').waitFor()
  await page.getByRole('button', { name: 'Accept all' }).click()
  const hit = await world.collector.hit('decision', (hit) => hit.k == 'o')
  assert.equal(hit.c, 7)
  assert.equal(hit.rc.g, 1)
})

test('unused_categories_are_not_offered_and_not_granted', async (world) => {
  const page = await open(world, { attributes: 'data-categories="analytics"' })
  await page.getByText('Choose by category').click()
  assert.equal(await page.getByRole('checkbox').count(), 2)
  await page.getByRole('button', { name: 'Accept all' }).click()
  assert.equal((await world.collector.hit('decision', (hit) => hit.k == 'o')).c, 5)
})

test('consent_mode_signals_are_denied_first_and_updated_by_the_choice', async (world) => {
  const page = await open(world)
  await page.getByText('Choose by category').click()
  await page.getByRole('checkbox', { name: /Analytics/ }).check()
  await page.getByRole('button', { name: 'Save choice' }).click()
  const signals = await page.evaluate(() => dataLayer.map(([, command, state]) => [command, state.analytics_storage, state.ad_storage, state.ad_user_data, state.functionality_storage]))
  assert.deepEqual(signals, [['default', 'denied', 'denied', 'denied', 'denied'], ['update', 'granted', 'denied', 'denied', 'denied']])
})

test('others_on_the_page_are_told_by_an_event', async (world) => {
  const page = await open(world, {
    before: () => {
      window.told = []
      addEventListener('sotto:consent', (event) => window.told.push(event.detail))
    },
  })
  await page.getByRole('button', { name: 'Accept all' }).click()
  await page.reload()
  assert.deepEqual(await page.evaluate(() => window.told), [15])
})

test('strict_policy_has_no_violation_and_the_banner_is_styled', async (world) => {
  world.site.page('/page', {
    tag: `<script nonce="n0nce">window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective+' '+e.sample))</script>` + world.tag('nonce="n0nce"', ['banner']),
    headers: { 'content-security-policy': `default-src 'none'; script-src 'nonce-n0nce'; style-src 'none'; connect-src ${world.collector.origin}; require-trusted-types-for 'script'; trusted-types 'none'` },
  })
  const page = await world.newPage()
  await page.goto(world.site.origin + '/page')
  assert.equal(await page.getByRole('dialog').evaluate((dialog) => getComputedStyle(dialog).position), 'fixed')
  await page.getByRole('button', { name: 'Accept all' }).click()
  await world.settled(page)
  assert.deepEqual(await page.evaluate(() => window.violations), [])
})

for (const language of LANGUAGES)
  test(`page_in_${language}_is_asked_in_its_language`, async (world) => {
    const page = await open(world, { before: `document.addEventListener('readystatechange', () => (document.documentElement.lang = '${language}-XX'))` })
    const dialog = page.getByRole('dialog')
    await dialog.waitFor()
    assert.equal(await dialog.getAttribute('lang'), language)
    const words = await dialog.locator('button, summary, b').allTextContents()
    assert.equal(words.filter(Boolean).length, 8)
    await page.setViewportSize({ width: 320, height: 640 })
    const { scrollWidth, clientWidth } = await dialog.evaluate(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }))
    assert.ok(scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth} at 320 px`)
  })

for (const scheme of ['light', 'dark'])
  test(`axe_finds_nothing_in_${scheme}`, async (world) => {
    mkdirSync(pictures, { recursive: true })
    const page = await world.newPage()
    await page.emulateMedia({ colorScheme: scheme })
    await open(world, { page, attributes: 'data-policy="/privacy"' })
    for (const [state, act] of [
      ['first', () => page.getByRole('dialog').waitFor()],
      ['unfolded', () => page.getByText('Choose by category').click()],
      ['closed', () => page.getByRole('button', { name: 'Reject all' }).click()],
      ['reopened', () => page.getByRole('button', { name: 'Privacy settings' }).click()],
    ]) {
      await act()
      await page.screenshot({ path: join(pictures, `banner-${scheme}-${state}.png`) })
      const { violations, incomplete } = await new AxeBuilder({ page }).include('div').analyze()
      assert.deepEqual([...violations, ...incomplete].map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], state)
    }
  })
