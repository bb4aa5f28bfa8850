import assert from 'node:assert/strict'
import { inChromium } from './support/world.js'

const test = inChromium()
const events = (hits) => hits.filter((hit) => hit.k == 'x').map((hit) => [hit.n, hit.p])

/** Keeps the page where it is, whatever is clicked or submitted, without hiding the event. */
const stay = `<script>
  addEventListener('click', (event) => event.target.closest('a') && event.preventDefault())
  addEventListener('auxclick', (event) => event.preventDefault())
  addEventListener('submit', (event) => event.preventDefault())
</script>`

async function open(world, modules, body, attributes = '') {
  world.install(attributes, modules)
  world.site.page('/page', { body: body + stay })
  const page = await world.newPage()
  await page.goto(world.site.origin + '/page')
  await world.collector.pageviews(1)
  return page
}

test('outbound_link_reports_origin_and_path_only', async (world) => {
  const page = await open(world, ['auto'], '<a href="https://other.example/path?email=ann@example.org#x"><b>other</b></a>')
  await page.click('b')
  assert.deepEqual(events(await world.settled(page)), [['outbound', { url: 'https://other.example/path' }]])
})

test('inner_link_reports_nothing', async (world) => {
  const page = await open(world, ['auto'], '<a href="/other">inner</a> <a href="#x">hash</a> <a href="javascript:void 0">script</a>')
  for (const text of ['inner', 'hash', 'script']) await page.click(`text=${text}`)
  assert.deepEqual(events(await world.settled(page)), [])
})

test('middle_click_on_outbound_link_counts_and_right_click_does_not', async (world) => {
  const page = await open(world, ['auto'], '<a href="https://other.example/">other</a>')
  await page.click('a', { button: 'right' })
  await page.click('a', { button: 'middle' })
  assert.deepEqual(events(await world.settled(page)), [['outbound', { url: 'https://other.example/' }]])
})

test('download_reports_its_address', async (world) => {
  const page = await open(world, ['auto'], '<a href="/files/Price%20List.PDF?v=2">list</a> <a href="/export" download>export</a>')
  await page.click('text=list')
  await page.click('text=export')
  assert.deepEqual(events(await world.settled(page)), [
    ['download', { url: world.site.origin + '/files/Price%20List.PDF' }],
    ['download', { url: world.site.origin + '/export' }],
  ])
})

test('contact_link_reports_its_kind_and_never_the_number', async (world) => {
  const links = ['mailto:ann@example.org', 'tel:+491234', 'sms:+491234', 'https://wa.me/491234?text=hi', 'https://api.whatsapp.com/send?phone=491234', 'whatsapp://send?phone=491234']
  const page = await open(world, ['auto'], links.map((href, n) => `<p><a id="l${n}" href="${href}">link</a></p>`).join(''))
  for (const n of links.keys()) await page.click(`#l${n}`)
  const hits = await world.settled(page)
  assert.deepEqual(events(hits), ['mailto', 'tel', 'sms', 'whatsapp', 'whatsapp', 'whatsapp'].map((type) => ['contact', { type }]))
  assert.doesNotMatch(JSON.stringify(hits), /1234|ann@/)
})

test('form_reports_its_name_and_no_contents', async (world) => {
  const fields = '<input name="email" value="ann@example.org"><input name="id" value="7"><input name="action" value="x"><button>send</button>'
  const page = await open(
    world,
    ['auto'],
    `<form id="newsletter">${fields}</form><form name="contact">${fields}</form><form action="/search?q=1">${fields}</form><form data-sotto="Lead" id="lead">${fields}</form>`,
  )
  for (const n of [0, 1, 2, 3]) await page.locator('button').nth(n).click()
  const hits = await world.settled(page)
  assert.deepEqual(events(hits), [
    ['form', { form: 'newsletter' }],
    ['form', { form: 'contact' }],
    ['form', { form: '/search' }],
    ['Lead', { form: 'lead' }],
  ])
  assert.doesNotMatch(JSON.stringify(hits), /ann@/)
})

test('invalid_form_reports_nothing', async (world) => {
  const page = await open(world, ['auto'], '<form><input required><button>send</button></form>')
  await page.click('button')
  assert.deepEqual(events(await world.settled(page)), [])
})

test('tagged_element_reports_its_name_and_props_without_the_mask', async (world) => {
  const page = await open(world, ['auto'], '<div data-sotto="Pick" data-sotto-plan="pro" data-sotto-mask data-other="x"><i>pick</i></div>')
  await page.click('i')
  assert.deepEqual(events(await world.settled(page)), [['Pick', { plan: 'pro' }]])
})

test('not_found_page_reports_its_path', async (world) => {
  world.install('', ['auto'])
  world.site.page('/gone', { head: '<meta name="sotto:status" content="404">' })
  const page = await world.newPage()
  await page.goto(world.site.origin + '/gone?token=1')
  assert.deepEqual(events(await world.settled(page)), [['404', { path: '/gone' }]])
})

test('link_click_is_delivered_though_the_page_goes_away', async (world) => {
  world.install('', ['auto'])
  const other = world.site.origin.replace('127.0.0.1', 'localhost')
  world.site.page('/page', { body: `<a href="${other}/away">away</a>` })
  world.site.page('/away', { tag: '' })
  const page = await world.newPage()
  await page.goto(world.site.origin + '/page')
  await page.click('a')
  const hit = await world.collector.hit('outbound event', (hit) => hit.n == 'outbound')
  assert.deepEqual(hit.p, { url: other + '/away' })
})

const clicked = (hits) => hits.filter((hit) => hit.k == 'c').flatMap((hit) => hit.h)
const MAP = `<main id="content"><section><button style="width:200px;height:100px">one</button></section>
  <section><button>two</button><button id="order-1234567">three</button></section></main>`

/** Leaves the view as a router does, which makes the modules report. */
const leave = (page) => page.evaluate(() => history.pushState({}, '', '/next'))

test('click_map_reports_path_and_positions_for_the_view_clicked_in', async (world) => {
  const page = await open(world, ['clicks'], MAP, 'data-consent="5"')
  const [view] = world.collector.hits('p')
  await page.click('text=one', { position: { x: 50, y: 50 } })
  await page.click('text=three')
  await leave(page)
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.equal(hit.i, view.i)
  assert.equal(hit.c, 5)
  assert.deepEqual(hit.h.map(([path]) => path), ['#content>section>button', '#content>section:2>button:2'])
  const [, x, y, pageX, pageY] = hit.h[0]
  assert.ok(Math.abs(x - 250) <= 10 && Math.abs(y - 500) <= 20, `position ${x}, ${y}`)
  assert.ok(pageX > 0 && pageX < 200 && pageY > 0 && pageY < 200, `page position ${pageX}, ${pageY}`)
  assert.doesNotMatch(JSON.stringify(hit.h), /one|three|1234567/)
})

for (const [state, attributes] of [
  ['undecided', ''],
  ['refusing', 'data-consent="1"'],
  ['marketing_only', 'data-consent="9"'],
])
  test(`click_map_of_${state}_visitor_reports_nothing`, async (world) => {
    const page = await open(world, ['clicks'], MAP, attributes)
    await page.click('text=one')
    await leave(page)
    await world.collector.pageviews(2)
    assert.deepEqual(clicked(await world.settled(page)), [])
  })

test('withdrawal_discards_the_clicks_not_sent_yet', async (world) => {
  const page = await open(world, ['clicks'], MAP, 'data-consent="5"')
  await page.click('text=one')
  await page.evaluate(() => window.sotto.consent(1))
  await page.click('text=two')
  await page.evaluate(() => window.sotto.consent(5))
  await leave(page)
  await world.collector.pageviews(2)
  assert.deepEqual(clicked(await world.settled(page)), [])
})

test('inputs_answers_and_masked_parts_are_never_in_the_click_map', async (world) => {
  const page = await open(
    world,
    ['clicks'],
    `<input value="x"><textarea></textarea><select><option>1</option></select><label>yes <input type="radio"></label>
     <div contenteditable style="height:20px">edit</div><div data-sotto-mask><p id="masked">masked</p></div>
     <div role="radio" aria-checked="false">answer</div><p id="plain">plain</p>`,
    'data-consent="15"',
  )
  for (const selector of ['input >> nth=0', 'textarea', 'select', 'label', '[contenteditable]', '#masked', '[role=radio]', '#plain']) await page.click(selector)
  await leave(page)
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.deepEqual(hit.h.map(([path]) => path), ['#plain'])
})

test('clicks_made_by_scripts_are_not_in_the_click_map', async (world) => {
  const page = await open(world, ['clicks'], MAP, 'data-consent="5"')
  await page.evaluate(() => document.querySelector('button').click())
  await page.click('text=two')
  await leave(page)
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.equal(hit.h.length, 1)
})

test('keyboard_activation_stands_in_the_middle_of_its_element', async (world) => {
  const page = await open(world, ['clicks'], MAP, 'data-consent="5"')
  await page.focus('button')
  await page.keyboard.press('Enter')
  await leave(page)
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.deepEqual(hit.h[0].slice(0, 3), ['#content>section>button', 500, 500])
})

test('full_batch_of_clicks_goes_out_before_the_page_is_left', async (world) => {
  const page = await open(world, ['clicks'], MAP, 'data-consent="5"')
  for (let n = 0; n < 20; n++) await page.click('text=two')
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.equal(hit.h.length, 20)
})

test('path_of_a_deep_element_stays_within_the_limit', async (world) => {
  const name = 'x-' + 'very-long-custom-element-name-'.repeat(4)
  const page = await open(world, ['clicks'], `<${name}>`.repeat(9) + '<i>deep</i>' + `</${name}>`.repeat(9), 'data-consent="5"')
  await page.click('i')
  await leave(page)
  const hit = await world.collector.hit('clicks', (hit) => hit.k == 'c')
  assert.equal(hit.h[0][0].split('>').length, 6)
  assert.ok(hit.h[0][0].length <= 256)
})

test('web_vitals_are_reported_when_the_page_is_left', async (world) => {
  const page = await open(world, ['vitals'], '<h1>Large</h1><button>press</button>')
  const [view] = world.collector.hits('p')
  await page.click('button')
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 100))))
  await page.goto('about:blank')
  const hit = await world.collector.hit('vitals', (hit) => hit.k == 'w')
  assert.equal(hit.i, view.i)
  const all = Object.assign({}, ...world.collector.hits('w').map((hit) => hit.m))
  for (const name of ['TTFB', 'FCP', 'LCP', 'CLS']) assert.equal(typeof all[name], 'number', `${name} of ${JSON.stringify(all)}`)
})

test('web_vitals_stay_with_the_first_view_of_a_document', async (world) => {
  const page = await open(world, ['vitals'], '<h1>Large</h1><button>press</button>')
  const [view] = world.collector.hits('p')
  await page.waitForFunction(() => performance.getEntriesByType('paint').length > 1)
  await leave(page)
  await world.collector.hit('vitals', (hit) => hit.k == 'w')
  await page.click('button')
  await page.evaluate(() => history.pushState({}, '', '/third'))
  await world.collector.pageviews(3)
  const hits = (await world.settled(page)).filter((hit) => hit.k == 'w')
  assert.deepEqual([...new Set(hits.map((hit) => hit.i))], [view.i])
})

test('modules_of_an_opted_out_visitor_send_nothing', async (world) => {
  world.install('data-consent="15"', ['auto', 'clicks', 'vitals'])
  world.site.page('/page', { body: MAP + '<a href="https://other.example/">other</a>' + stay })
  const page = await world.newPage()
  await page.addInitScript(() => (localStorage.sotto_ignore = '1'))
  await page.goto(world.site.origin + '/page')
  await page.click('text=one')
  await page.click('text=other')
  await page.goto('about:blank')
  const control = await world.newPage()
  await control.addInitScript(() => delete localStorage.sotto_ignore)
  await control.goto(world.site.origin + '/control')
  const [view] = await world.collector.pageviews(1)
  assert.match(view.u, /control$/)
  assert.equal(world.collector.hits()[0].u, view.u)
})

test('visitor_who_saves_data_sends_no_clicks_and_no_vitals', async (world) => {
  world.install('data-consent="15"', ['clicks', 'vitals'])
  world.site.page('/page', { body: MAP })
  const page = await world.newPage()
  await page.addInitScript(() => Object.defineProperty(navigator, 'connection', { value: { saveData: true } }))
  await page.goto(world.site.origin + '/page')
  await page.click('text=one')
  await leave(page)
  await world.collector.pageviews(2)
  const hits = await world.settled(page)
  assert.deepEqual(hits.filter((hit) => hit.k == 'c' || hit.k == 'w'), [])
})
