// From the link of a campaign to the stored row: every click id of the collector's table and every tag, in any case.
//
// Of a click id only the name may leave the page. The ids come from the table itself.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inChromiumAgainstSotto } from './support/real.js'

const test = inChromiumAgainstSotto()

const table = readFileSync(join(import.meta.dirname, '../../collector/data/click_ids.toml'), 'utf8')
const value = (line, key) => new RegExp(` ${key} = "(.*?)"`).exec(line)[1]
const IDS = table
  .split('\n')
  .filter((line) => line.trimStart().startsWith('{'))
  .map((line) => ({ name: value(line, 'name'), source: value(line, 'source'), channel: value(line, 'channel') }))
const TAGS = {
  utm_source: 'utm_source',
  utm_medium: 'utm_medium',
  utm_campaign: 'utm_campaign',
  utm_content: 'utm_content',
  utm_term: 'utm_term',
  source: 'utm_source',
  ref: 'utm_source',
  via: 'utm_source',
}
const spellings = (name) => [name, name.toUpperCase(), name[0].toUpperCase() + name.slice(1)].filter((text, at, all) => all.indexOf(text) == at)

/** Opens all addresses one after the other; the rows by path, and everything that was sent. */
async function visit({ sotto, site, newContext, tag }, addresses) {
  const key = await sotto.addSite('127.0.0.1', 'cookieless')
  site.tag(tag(key))
  const page = await (await newContext()).newPage()
  const sent = []
  page.on('request', (request) => request.method() == 'POST' && sent.push(request.postData()))
  for (const address of addresses) {
    const hit = page.waitForRequest((request) => request.method() == 'POST' && JSON.parse(request.postData()).k == 'p')
    await page.goto(site.origin + address)
    await hit
  }
  const views = (rows) => rows.filter((row) => row.kind == 'pageview')
  const rows = views(await sotto.rows(key, 'all pageviews', (rows) => views(rows).length >= addresses.length))
  assert.equal(rows.length, addresses.length)
  return { rows: Object.fromEntries(rows.map((row) => [row.path, row])), sent: sent.join('\n'), stored: JSON.stringify(rows) }
}

test('click_id_is_stored_by_name_with_its_channel_and_its_value_never_leaves_the_page', async (world) => {
  assert.ok(IDS.length > 20, 'the table was not read')
  const cases = IDS.flatMap((id) => [...spellings(id.name), ...(id.name == 'sccid' ? ['ScCid'] : [])].map((name) => ({ ...id, name, id: id.name })))
  const { rows, sent, stored } = await visit(world, cases.map(({ name }) => `/${name}?page=secret&${name}=Secret-1_x.y&q=secret#secret`))
  for (const { id, name, source, channel } of cases) {
    const row = rows['/' + name]
    assert.deepEqual([row.click_id, row.source, row.channel], [id, source, channel], name)
  }
  assert.doesNotMatch(sent, /secret/i)
  assert.doesNotMatch(stored, /secret/i)
})

test('click_id_beside_others_and_tags_is_counted_as_paid', async (world) => {
  const { rows } = await visit(world, [
    '/left?gad_source=1&gad_campaignid=2',
    '/several?gad_source=1&gbraid=x&gclid=x',
    '/tagged?UTM_Source=acme&MSCLKID=x',
    '/empty?gclid',
    '/none?gclid_x=1&awcx=1&xepik=1',
  ])
  const of = (path) => [rows[path].click_id, rows[path].source, rows[path].channel]
  assert.deepEqual(of('/left'), ['gad_source', 'Google', 'paid_search'])
  assert.deepEqual(of('/several'), ['gclid', 'Google', 'paid_search'])
  assert.deepEqual(of('/tagged'), ['msclkid', 'acme', 'paid_search'])
  assert.deepEqual(of('/empty'), ['gclid', 'Google', 'paid_search'])
  assert.deepEqual(of('/none'), ['', '', 'direct'])
})

test('campaign_tag_is_stored_whatever_its_case', async (world) => {
  const cases = Object.entries(TAGS).flatMap(([tag, column]) => spellings(tag).map((name) => ({ name, column })))
  const { rows, sent } = await visit(world, cases.map(({ name }) => `/${name}?x=secret&${name}=Spring+sale%21&y=secret`))
  for (const { name, column } of cases) assert.equal(rows['/' + name][column], 'Spring sale!', name)
  assert.doesNotMatch(sent, /secret/)
})
