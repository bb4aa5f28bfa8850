// Own visits: the signed link, opened in a browser, against the real program.

import assert from 'node:assert/strict'
import { inChromiumAgainstSotto } from './support/real.js'
import { until } from './support/sotto.js'

const test = inChromiumAgainstSotto()

/** A page that answers dialogs; what they said. */
async function open(newContext) {
  const page = await (await newContext()).newPage()
  const said = []
  page.on('dialog', (dialog) => {
    said.push(dialog.message())
    return dialog.accept()
  })
  return { page, said }
}

test('link_of_the_site_excludes_the_browser_that_opens_it_until_taken_back', async ({ sotto, site, newContext, tag }) => {
  const key = await sotto.addSite('127.0.0.1', 'cookieless')
  site.tag(tag(key, ['exclude']))
  const link = (await sotto.cli('site', 'exclude-link', key, '--page', site.origin + '/link')).trim()
  const { page, said } = await open(newContext)
  await page.goto(link)
  await until('the browser to be excluded', () => said.length == 1)
  assert.match(said[0], /not counted any more/)
  await page.goto(site.origin + '/excluded')
  const other = await open(newContext)
  await other.page.goto(site.origin + '/other')
  const rows = await sotto.rows(key, 'the visit of another browser', (rows) => rows.some((row) => row.path == '/other'))
  assert.equal(rows.some((row) => row.path == '/excluded'), false)

  await page.goto(site.origin + '/#sotto-exclude=off')
  await until('the browser to be counted again', () => said.length == 2)
  await page.goto(site.origin + '/again')
  await sotto.rows(key, 'the visit after', (rows) => rows.some((row) => row.path == '/again'))
})

test('link_that_nobody_signed_excludes_nobody', async ({ sotto, site, newContext, tag }) => {
  const key = await sotto.addSite('127.0.0.1', 'cookieless')
  site.tag(tag(key, ['exclude']))
  const { page, said } = await open(newContext)
  await page.goto(site.origin + '/#sotto-exclude=' + '0'.repeat(32))
  await until('an answer', () => said.length == 1)
  assert.match(said[0], /not valid/)
  await page.goto(site.origin + '/still')
  await sotto.rows(key, 'the next visit', (rows) => rows.some((row) => row.path == '/still'))
})
