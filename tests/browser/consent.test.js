// Hosted consent managers, by mocks of what their documentation says (sources: README.md of the tracker),
// and the rules that hold for all of them.

import assert from 'node:assert/strict'
import { inChromium } from './support/world.js'

const test = inChromium()

/**
 * Each mock defines `window.choose(choice)`, where a choice has the booleans preference, analytics and
 * marketing, and says the same again after a reload. The first choice is stored by the fixture.
 */
const MOCKS = {
  cookiebot: `
    window.Cookiebot = { hasResponse: false, consent: { necessary: true, preferences: false, statistics: false, marketing: false, method: null } }
    window.choose = (choice) => {
      Object.assign(Cookiebot, { hasResponse: true, consent: { necessary: true, preferences: choice.preference, statistics: choice.analytics, marketing: choice.marketing, method: 'explicit' } })
      dispatchEvent(new Event('CookiebotOnConsentReady'))
      dispatchEvent(new Event(choice.analytics ? 'CookiebotOnAccept' : 'CookiebotOnDecline'))
    }`,
  onetrust: `
    let closed = false
    window.OneTrust = { IsAlertBoxClosed: () => closed }
    window.OnetrustActiveGroups = ',C0001,'
    window.choose = (choice) => {
      closed = true
      const groups = ['C0001', choice.analytics && 'C0002', choice.preference && 'C0003', choice.marketing && 'C0004'].filter(Boolean)
      window.OnetrustActiveGroups = ',' + groups.join(',') + ','
      dispatchEvent(new CustomEvent('OneTrustGroupsUpdated', { detail: groups }))
    }`,
  cookieyes: `
    const state = { isUserActionCompleted: false, activeLaw: 'gdpr', categories: { necessary: true, functional: false, analytics: false, performance: false, advertisement: false } }
    window.getCkyConsent = () => state
    window.choose = (choice) => {
      state.isUserActionCompleted = true
      state.categories = { necessary: true, functional: choice.preference, analytics: choice.analytics, performance: choice.analytics, advertisement: choice.marketing }
      document.dispatchEvent(new CustomEvent('cookieyes_consent_update', { detail: { accepted: [], rejected: [] } }))
    }`,
  complianz: `
    let state = {}, answered = ''
    window.cmplz_get_cookie = (name) => name == 'banner-status' ? answered : ''
    window.cmplz_has_consent = (name) => name == 'functional' || !!state[name]
    window.choose = (choice) => {
      answered = 'dismissed'
      for (const [category, value] of [['preferences', choice.preference], ['statistics', choice.analytics], ['marketing', choice.marketing]]) {
        state[category] = value
        document.dispatchEvent(new CustomEvent('cmplz_status_change', { detail: { category, value: value ? 'allow' : 'deny' } }))
      }
    }`,
  usercentrics: `
    let details = { consent: { type: 'IMPLICIT' }, categories: { essential: { state: 'ALL_ACCEPTED' }, marketing: { state: 'ALL_ACCEPTED' } } }
    window.__ucCmp = { isInitialized: async () => true, getConsentDetails: async () => details }
    window.choose = (choice) => {
      const state = (granted) => ({ state: granted ? 'ALL_ACCEPTED' : 'ALL_DENIED' })
      details = { consent: { type: 'EXPLICIT' }, categories: { essential: state(true), functional: state(choice.preference), analytics: state(choice.analytics), marketing: state(choice.marketing) } }
      dispatchEvent(new CustomEvent('UC_UI_CMP_EVENT', { detail: { type: 'SAVE' } }))
    }`,
  'usercentrics 2': `
    let services = [], required = true
    window.UC_UI = { isInitialized: () => true, isConsentRequired: () => required, getServicesBaseInfo: () => services }
    window.choose = (choice) => {
      required = false
      services = [['essential', true], ['functional', choice.preference], ['analytics', choice.analytics], ['marketing', choice.marketing], ['marketing', choice.analytics /* a second service disagrees */]]
        .map(([categorySlug, status]) => ({ categorySlug, consent: { status } }))
      dispatchEvent(new CustomEvent('UC_UI_CMP_EVENT', { detail: { type: 'SAVE' } }))
    }`,
  didomi: `
    let asked = false, purposes = {}
    window.Didomi = { shouldUserStatusBeCollected: () => !asked, getCurrentUserStatus: () => ({ purposes }) }
    addEventListener('load', () => (window.didomiOnReady || []).forEach((ready) => ready(Didomi)))
    window.choose = (choice) => {
      asked = true
      const of = (ids, enabled) => ids.map((id) => [id, { id, enabled }])
      purposes = Object.fromEntries([...of(['cookies'], true), ...of(['create_content_profile', 'select_personalized_content'], choice.preference),
        ...of(['measure_content_performance', 'market_research'], choice.analytics), ...of(['create_ads_profile', 'select_personalized_ads'], choice.marketing)])
      for (const { event, listener } of window.didomiEventListeners || []) if (event == 'consent.changed') listener()
    }`,
  axeptio: `
    const listeners = []
    const sdk = { on: (name, listener) => name == 'cookies:complete' && listeners.push(listener) }
    addEventListener('load', () => { (window._axcb || []).forEach((ready) => ready(sdk)); window._axcb = { push: (ready) => ready(sdk) } })
    window.choose = (choice) => listeners.forEach((listener) => listener({ $$token: 'x', $$completed: true, sotto: choice.analytics, google_analytics: choice.analytics, facebook_pixel: choice.marketing, chat: choice.preference }))`,
  iubenda: `
    window._iub = { cs: { consent: {} } }
    window.choose = (choice) => (_iub.cs.consent = { purposes: { 1: true, 2: choice.preference, 3: choice.preference, 4: choice.analytics, 5: choice.marketing } })`,
  termly: `
    let state = { essential: true, performance: false, analytics: false, advertising: false, social_networking: false, unclassified: false }
    const listeners = {}
    window.Termly = { getConsentState: () => state, on: (name, listener) => (listeners[name] = listener) }
    window.choose = (choice) => {
      state = { essential: true, performance: choice.analytics, analytics: choice.analytics, advertising: choice.marketing, social_networking: choice.marketing, unclassified: false }
      listeners.consent()
    }`,
  'google-consent-mode': `
    window.dataLayer = []
    function gtag() { dataLayer.push(arguments) }
    gtag('consent', 'default', { analytics_storage: 'granted', ad_storage: 'granted' })
    window.choose = (choice) => {
      const word = (granted) => granted ? 'granted' : 'denied'
      gtag('consent', 'update', { analytics_storage: word(choice.analytics), functionality_storage: word(choice.preference), personalization_storage: word(choice.preference) })
      gtag('consent', 'update', { ad_storage: word(choice.marketing), ad_user_data: word(choice.marketing), ad_personalization: word(choice.marketing) })
    }`,
  'wp-consent-api': `
    window.wp_consent_type = 'optin'
    window.wp_has_consent = (name) => new RegExp('wp_consent_' + name + '=allow').test(document.cookie)
    window.choose = (choice) => {
      for (const [name, granted] of [['preferences', choice.preference], ['statistics', choice.analytics], ['marketing', choice.marketing]]) {
        document.cookie = 'wp_consent_' + name + '=' + (granted ? 'allow' : 'deny') + ';path=/'
        document.dispatchEvent(new CustomEvent('wp_listen_for_consent_change', { detail: [] }))
      }
    }`,
  shopify: `
    let current = { preferences: '', analytics: '', marketing: '' }
    window.Shopify = { customerPrivacy: { currentVisitorConsent: () => current } }
    window.choose = (choice) => {
      const word = (granted) => granted ? 'yes' : 'no'
      current = { preferences: word(choice.preference), analytics: word(choice.analytics), marketing: word(choice.marketing) }
      document.dispatchEvent(new CustomEvent('visitorConsentCollected'))
    }`,
}

const CHOICES = [
  [{ preference: true, analytics: true, marketing: true }, 15],
  [{ preference: false, analytics: true, marketing: false }, 5],
  [{ preference: false, analytics: false, marketing: false }, 1],
]
/** Managers that have no category for preferences, or whose vendors for it are unknown. */
const WITHOUT_PREFERENCE = ['axeptio', 'termly']

const remember = `<script>{
  const choose = window.choose
  window.choose = (choice) => { localStorage.choice = JSON.stringify(choice); choose(choice) }
  if (localStorage.choice) addEventListener('load', () => choose(JSON.parse(localStorage.choice)))
}</script>`

for (const [name, mock] of Object.entries(MOCKS))
  test(`${name.replace(/\W/g, '_')}_decisions_reach_the_server_and_survive_a_reload`, async ({ site, collector, newPage, install, settled, errors }) => {
    const source = name.split(' ')[0]
    install('', ['consent', 'consent-' + source])
    site.page('/page', { body: `<h1>Shop</h1><script>${mock}</script>${remember}` })
    const page = await newPage()
    await page.goto(site.origin + '/page')
    const [view] = await collector.pageviews(1)
    assert.equal('c' in view, false)
    assert.deepEqual((await settled(page)).filter((hit) => hit.k == 'o'), [], 'undecided before a choice')

    const masks = CHOICES.map(([, mask]) => (WITHOUT_PREFERENCE.includes(name) ? mask & ~2 : mask))
    for (const [n, [choice]] of CHOICES.entries()) {
      await page.evaluate((choice) => window.choose(choice), choice)
      const decision = await collector.until(`decision ${masks[n]}`, () => collector.hits('o').find((hit) => hit.c == masks[n]))
      assert.equal(decision.src, source)
    }
    await page.reload()
    const again = (await collector.pageviews(2))[1]
    await collector.until('the stored refusal', () => collector.hits().find((hit) => hit.i == again.i && hit.c == 1))
    assert.deepEqual(collector.hits('o').filter((hit) => hit.i == view.i && !hit.un).map((hit) => hit.c), masks)
    assert.deepEqual(errors, [])
  })

const COOKIEBOT = (analytics, marketing) => `<script>window.Cookiebot = { hasResponse: true, consent: { statistics: ${analytics}, marketing: ${marketing}, preferences: false } }</script>`
const ONETRUST = (groups) => `<script>window.OneTrust = { IsAlertBoxClosed: () => true }; window.OnetrustActiveGroups = '${groups}'</script>`

test('decision_known_at_load_is_on_the_first_pageview', async ({ site, collector, newPage, install, settled }) => {
  install('', ['consent', 'consent-cookiebot'])
  site.page('/page', { body: '<h1>Shop</h1>' + COOKIEBOT(true, true) })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  assert.deepEqual((await settled(page)).map((hit) => [hit.k, hit.c]), [['p', 13]])
})

test('manager_that_loads_late_is_found', async ({ site, collector, newPage, install, settled }) => {
  install('', ['consent', 'consent-cookiebot'])
  const page = await newPage()
  await page.goto(site.origin + '/page')
  await settled(page)
  await page.evaluate(() => (window.Cookiebot = { hasResponse: true, consent: { statistics: true } }))
  assert.equal((await collector.hit('decision', (hit) => hit.k == 'o')).c, 5)
})

test('global_privacy_control_takes_marketing_out_of_every_decision', async ({ site, collector, newPage, install }) => {
  install('', ['consent', 'consent-cookiebot'])
  site.page('/page', { body: '<h1>Shop</h1>' + COOKIEBOT(true, true) })
  const page = await newPage()
  await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true }))
  await page.goto(site.origin + '/page')
  assert.equal((await collector.pageviews(1))[0].c, 5)
})

test('category_that_two_managers_disagree_on_is_refused', async ({ site, collector, newPage, install }) => {
  install('', ['consent', 'consent-cookiebot', 'consent-onetrust'])
  site.page('/page', { body: '<h1>Shop</h1>' + COOKIEBOT(true, false) + ONETRUST(',C0001,C0002,C0004,') })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  assert.equal((await collector.pageviews(1))[0].c, 5)
})

test('unknown_category_grants_nothing_and_is_reported_once', async ({ site, collector, newPage, install, settled }) => {
  install('', ['consent', 'consent-onetrust'])
  site.page('/page', { body: '<h1>Shop</h1>' + ONETRUST(',C0001,C0009,V2STACK42,') })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  assert.equal((await collector.pageviews(1))[0].c, 1)
  await page.evaluate(() => history.pushState({}, '', '/two'))
  await page.evaluate(() => history.pushState({}, '', '/three'))
  await collector.pageviews(3)
  await settled(page)
  const reports = collector.hits('o').filter((hit) => hit.un)
  assert.deepEqual(reports.map((hit) => [hit.src, hit.un, hit.c]), [['onetrust', ['C0009', 'V2STACK42'], 1]])
})

test('map_of_the_owner_wins_over_the_names', async ({ site, collector, newPage, install, settled }) => {
  install('data-map="C0009:4 V2STACK42:0 C0004:0"', ['consent', 'consent-onetrust'])
  site.page('/page', { body: '<h1>Shop</h1>' + ONETRUST(',C0001,C0004,C0009,V2STACK42,') })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  assert.equal((await collector.pageviews(1))[0].c, 5)
  await page.evaluate(() => history.pushState({}, '', '/two'))
  await collector.pageviews(2)
  await settled(page)
  assert.deepEqual(collector.hits('o'), [])
})

const COOKIEYES = (categories) => `<script>window.getCkyConsent = () => ({ isUserActionCompleted: true, categories: ${JSON.stringify(categories)} })</script>`

test('any_id_can_stand_in_the_map', async ({ site, collector, newPage, install, settled }) => {
  const longest = 'x'.repeat(64)
  // As the install page writes them; 50% is written by hand and no encoding.
  install(`data-map="Not%20mine%2C%20%22really%22:2 a:b:4 %3Cb%3E%C3%A9:8 50%:0 ${longest}y:0"`, ['consent', 'consent-cookieyes'])
  const ids = ['Not mine, "really"', ' a:b ', '<b>é', '50%', longest + 'z']
  site.page('/page', { body: '<h1>Shop</h1>' + COOKIEYES(Object.fromEntries(ids.map((id) => [id, true]))) })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  assert.equal((await collector.pageviews(1))[0].c, 15)
  await page.evaluate(() => history.pushState({}, '', '/two'))
  await collector.pageviews(2)
  await settled(page)
  assert.deepEqual(collector.hits('o'), [], 'nothing is left to map')
})

test('unknown_id_is_reported_by_its_first_64_characters_and_an_empty_one_not_at_all', async ({ site, collector, newPage, install, settled }) => {
  install('', ['consent', 'consent-cookieyes'])
  const ids = ['y'.repeat(64), 'z'.repeat(65), ' ', ' padded ']
  site.page('/page', { body: '<h1>Shop</h1>' + COOKIEYES(Object.fromEntries(ids.map((id) => [id, true]))) })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  await collector.pageviews(1)
  await page.evaluate(() => history.pushState({}, '', '/two'))
  await collector.pageviews(2)
  await settled(page)
  assert.deepEqual(collector.hits('o').map((hit) => hit.un), [['y'.repeat(64), 'z'.repeat(64), 'padded']])
})

test('withdrawal_in_a_manager_stops_the_click_map_at_once', async ({ site, collector, newPage, install, settled }) => {
  install('', ['clicks', 'consent', 'consent-cookiebot'])
  site.page('/page', { body: `<h1>Shop</h1><p id="spot">here</p><script>${MOCKS.cookiebot}; choose({ analytics: true })</script>` })
  const page = await newPage()
  await page.goto(site.origin + '/page')
  await collector.pageviews(1)
  await page.click('#spot')
  await page.evaluate(() => window.choose({ analytics: false, marketing: false, preference: false }))
  await page.click('#spot')
  await page.evaluate(() => history.pushState({}, '', '/two'))
  await collector.pageviews(2)
  const hits = await settled(page)
  assert.deepEqual(hits.filter((hit) => hit.k == 'c'), [])
  assert.deepEqual(hits.filter((hit) => hit.k == 'o').map((hit) => hit.c), [1])
})
