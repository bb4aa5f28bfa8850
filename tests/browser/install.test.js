// The install page of the real dashboard, and the check that it gives to paste into a page's console.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import AxeBuilder from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import { startSite } from './support/site.js'
import { PERSON, startSotto, until } from './support/sotto.js'
import { executablePath, launchArguments } from './support/world.js'

const HOST = 'shop.example'
let browser, sotto, site, key, state

before(async () => {
  ;[sotto, site, browser] = await Promise.all([
    startSotto(),
    startSite(),
    chromium.launch({
      executablePath,
      args: [...launchArguments, '--disable-blink-features=AutomationControlled', `--host-resolver-rules=MAP *.example 127.0.0.1`],
    }),
  ])
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(sotto.setUp)
  await page.fill('[name=email]', 'owner@shop.example')
  await page.fill('[name=password]', 'correct horse battery')
  await page.fill('[name=hostname]', HOST)
  await Promise.all([page.waitForURL(/\/install/), page.click('main form .button')])
  key = /\/s\/(\w+)\/install/.exec(page.url())[1]
  state = await context.storageState()
  await context.close()
})
after(async () => {
  await browser?.close()
  await Promise.all([site?.close(), sotto?.stop()])
})

const words = async (page, id) => (await page.locator('#' + id).textContent()).trim()

async function install(query = '', { script = true, ...options } = {}) {
  const context = await browser.newContext({ storageState: state, javaScriptEnabled: script, ...options })
  const page = await context.newPage()
  await page.goto(`${sotto.url}/s/${key}/install${query}`)
  return page
}

test('tag_is_made_of_what_was_chosen_without_script', async () => {
  const page = await install('', { script: false })
  assert.equal(await words(page, 'snippet'), `<script defer src="${sotto.url}/s.auto.js" data-site="${key}"></script>`)
  await page.locator('summary', { hasText: 'Choose what it does' }).click()
  await page.getByRole('checkbox', { name: /Links, downloads/ }).uncheck()
  await page.getByRole('checkbox', { name: /Click map/ }).check()
  await page.getByLabel(/Who asks/).selectOption('klaro')
  await page.getByRole('button', { name: 'Make the tag' }).click()
  assert.equal(await words(page, 'snippet'), `<script defer src="${sotto.url}/s.clicks.consent-klaro.js" data-site="${key}"></script>`)
  await page.locator('summary', { hasText: 'Choose what it does' }).click()
  assert.equal(await page.getByRole('checkbox', { name: /Click map/ }).isChecked(), true, 'the form shows the choice')
  await page.context().close()
})

test('pinned_tag_and_size_are_those_of_the_script_that_is_served', async () => {
  const page = await install('?m=auto&m=vitals&consent=banner')
  const tag = await words(page, 'pinned')
  const [, src, integrity] = /src="(\S+)" integrity="(\S+)" crossorigin="anonymous"/.exec(tag)
  const answer = await fetch(src, { headers: { 'accept-encoding': 'identity' } })
  assert.equal(answer.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  assert.equal(answer.headers.get('access-control-allow-origin'), '*')
  const text = await answer.text()
  assert.equal(integrity, 'sha384-' + createHash('sha384').update(text).digest('base64'))
  const size = (await fetch(src, { method: 'HEAD', headers: { 'accept-encoding': 'br' } })).headers.get('content-length')
  assert.match(await words(page, 'size'), new RegExp(`\\b${size} bytes`))
  assert.match(await words(page, 'snippet'), /data-policy=/)
  await page.context().close()
})

test('install_page_has_no_violation_of_accessibility_rules', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await install('?m=auto&consent=klaro', { colorScheme })
    await page.locator('details').evaluateAll((all) => all.forEach((one) => (one.open = true)))
    const { violations } = await new AxeBuilder({ page }).analyze()
    assert.deepEqual(violations.map((v) => [v.id, v.nodes.map((n) => n.target)]), [], colorScheme)
    await page.context().close()
  }
})

test('integrity_runs_the_script_in_a_browser_under_a_strict_policy', async () => {
  const page = await install('?m=auto&consent=')
  const tag = await words(page, 'pinned')
  const policy = await words(page, 'policy')
  await page.context().close()
  site.page('/strict', { tag, headers: { 'content-security-policy': `default-src 'none'; ${policy}` } })
  assert.equal(await check('/strict'), 'ok')
})

const at = (path, host = HOST) => site.origin.replace('127.0.0.1', host) + path
const tag = (attributes = '', src = `${sotto.url}/s.js`, site = key) => `<script defer src="${src}" data-site="${site}" ${attributes}></script>`

/** What the check says on a page, pasted as its owner would. */
async function check(path, { host, prepare, page: given } = {}) {
  const dashboard = await install()
  const code = await words(dashboard, 'check-code')
  await dashboard.context().close()
  const context = await browser.newContext({ userAgent: PERSON })
  const page = given ?? (await context.newPage())
  await prepare?.(page)
  await page.goto(at(path, host))
  const said = []
  page.on('console', (message) => said.push(message.text()))
  const result = await page.evaluate(code.replace(/;$/, ''))
  assert.ok(said.some((text) => text.startsWith('Sotto: ') && text.endsWith(`(${result})`)), `said nothing: ${said}`)
  await context.close()
  return result
}

const CASES = {
  ok: () => ({ tag: tag() }),
  no_tag: () => ({ tag: '' }),
  wrong_key: () => ({ tag: tag('', undefined, 'another1') }),
  loopback: () => ({ tag: tag(), host: '127.0.0.1' }),
  wrong_host: () => ({ tag: tag(), host: 'other.example' }),
  opted_out: () => ({ tag: tag(), prepare: (page) => page.addInitScript(() => (localStorage.sotto_ignore = 1)) }),
  csp_script: () => ({ tag: tag(), headers: { 'content-security-policy': `script-src 'self'; connect-src ${sotto.url}` } }),
  csp_connect: () => ({ tag: tag(), headers: { 'content-security-policy': `script-src ${sotto.url}; connect-src 'self'` } }),
  blocked_script: () => ({ tag: tag(), prepare: (page) => page.route('**/s.js', (route) => route.abort('blockedbyclient')) }),
  blocked: () => ({ tag: tag(), prepare: (page) => page.route('**/e', (route) => route.abort('blockedbyclient')) }),
  wrong_address: () => ({ tag: tag('', `${sotto.url}/s.nobody.js`) }),
  integrity: () => ({ tag: tag('crossorigin="anonymous" integrity="sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"') }),
  wrong_endpoint: () => ({ tag: tag('data-api="/nowhere"'), prepare: (page) => page.route('**/nowhere', (route) => route.fulfill({ status: 404 })) }),
  busy: () => ({ tag: tag(), prepare: (page) => page.route('**/e', (route) => route.fulfill({ status: 503, headers: { 'access-control-allow-origin': '*' } })) }),
  not_run: () => ({ tag: tag('type="text/plain"') }),
  robot: () => ({ tag: tag(), prepare: (page) => page.addInitScript(() => Object.defineProperty(navigator, 'webdriver', { get: () => true })) }),
}

for (const [expected, make] of Object.entries(CASES))
  test(`check_on_a_page_that_is_${expected}_says_so`, async () => {
    const { tag, headers, ...more } = make()
    site.page('/case-' + expected, { tag, headers })
    assert.equal(await check('/case-' + expected, more), expected)
  })

test('check_in_a_frame_says_so', async () => {
  site.page('/framed', { tag: tag() })
  site.page('/frame', { tag: '', body: '<iframe src="/framed"></iframe>' })
  const dashboard = await install()
  const code = await words(dashboard, 'check-code')
  await dashboard.context().close()
  const context = await browser.newContext({ userAgent: PERSON })
  const page = await context.newPage()
  await page.goto(at('/frame'))
  assert.equal(await page.frames()[1].evaluate(code.replace(/;$/, '')), 'frame')
  await context.close()
})

// Next itself is 340 MB; what it does with the answer was tried with 16.4.6: it keeps Sec-GPC and adds X-Forwarded-For.
test('next_recipe_rewrites_script_and_hits_without_cookies', async () => {
  const page = await install()
  const code = await page.locator('#next').textContent()
  await page.context().close()
  const next = 'const NextResponse = { rewrite: (to, { request }) => ({ to, headers: Object.fromEntries(request.headers) }) }'
  const { proxy } = await import('data:text/javascript,' + encodeURIComponent(code.replace(/^import .*$/m, next)))
  const ask = (path) => proxy({ nextUrl: new URL('https://shop.example' + path), headers: new Headers({ 'sec-gpc': '1', cookie: 'session=1', 'x-forwarded-for': '192.0.2.7' }) })
  for (const file of ['e', 's.js', 's.auto.consent-klaro.js'])
    assert.deepEqual(ask('/hello/' + file), { to: `${sotto.url}/${file}`, headers: { 'sec-gpc': '1', 'x-forwarded-for': '192.0.2.7' } })
  for (const path of ['/hello/other', '/hello/e/e', '/e', '/hello/s..js']) assert.equal(ask(path), undefined, path)
})

test('worker_passes_script_and_hits_on_with_address_and_signal_but_without_cookies', async () => {
  const page = await install()
  const code = (await page.locator('#worker').textContent()).replaceAll(sotto.url, site.origin)
  await page.context().close()
  const { default: worker } = await import('data:text/javascript,' + encodeURIComponent(code))
  const seen = new Promise((resolve) => site.onRequest('/e', resolve))
  const headers = { 'sec-gpc': '1', cookie: 'session=1', 'cf-connecting-ip': '192.0.2.7' }
  const answer = await worker.fetch(new Request('https://shop.example/hello/e', { method: 'POST', body: '{}', headers }))
  assert.equal(answer.status, 200)
  const passed = (await seen).headers
  assert.deepEqual([passed['sec-gpc'], passed['x-forwarded-for'], passed.cookie], ['1', '192.0.2.7', undefined])
})

test('what_the_server_saw_names_foreign_hosts_and_unknown_keys', async () => {
  site.page('/seen', { tag: tag() })
  site.page('/unknown', { tag: tag('', undefined, 'nobody12') })
  const context = await browser.newContext({ userAgent: PERSON })
  const page = await context.newPage()
  for (const [path, host] of [['/seen', HOST], ['/seen', 'other.example'], ['/unknown', HOST]]) {
    // On a busy machine, the context would be closed before its last hit was sent.
    const answered = page.waitForResponse((response) => new URL(response.url()).pathname === '/e')
    await page.goto(at(path, host))
    await answered
  }
  await context.close()
  // The collector writes what it counted every few seconds.
  const dashboard = await install()
  const seen = await until('the outcomes', async () => {
    await dashboard.reload()
    const text = await dashboard.locator('#check').textContent()
    return /not this site/.test(text) && /does not exist here/.test(text) && /counted/.test(text) && text
  })
  assert.match(seen, /Add the host in the settings/)
  assert.match(seen, /Compare data-site/)
  await dashboard.context().close()
})
