import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { buildAll, clickIdPattern, clickIds, weigh } from './build.js'

let out, built
before(async () => {
  out = await mkdtemp(join(tmpdir(), 'sotto-tracker-'))
  built = await buildAll(out)
})
after(() => rm(out, { recursive: true }))

test('second_build_gives_the_same_bytes', async () => {
  const again = await buildAll(out)
  assert.deepEqual(again, built)
})

test('manifest_lists_every_file_with_its_sizes', async () => {
  const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8'))
  assert.match(manifest.version, /^[0-9a-f]{16}$/)
  const files = (await readdir(out)).filter((file) => file != 'manifest.json')
  const parts = [...Object.values(manifest.parts), ...Object.values(manifest.speaks)]
  assert.deepEqual(parts.map((part) => part.file).sort(), files.sort())
  for (const part of parts) {
    const bytes = await readFile(join(out, part.file))
    assert.equal(part.raw, bytes.length)
    assert.equal(part.gzip, gzipSync(bytes, { level: 9 }).length)
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
    assert.equal(part.brotli, brotliCompressSync(bytes, { params }).length)
  }
})

test('core_knows_the_click_ids_of_the_table_and_no_other_parameter', async () => {
  const pattern = await clickIdPattern()
  assert.ok(built.texts.core.includes(pattern), pattern)
  const known = new RegExp(`^(${pattern})$`)
  const names = await clickIds()
  assert.ok(names.length > 20, `only ${names.length}`)
  for (const name of names) assert.match(name, known)
  for (const name of ['id', 'cid', 'sid', 'uid', 'user_id', 'session', 'token', 'q', 'page', 'email', 'code', 'child', 'click'])
    assert.doesNotMatch(name, known)
})

test('parts_can_be_joined_in_any_text_order', () => {
  for (const [name, text] of Object.entries(built.texts)) assert.match(text, /;$/, `${name} does not end its statement`)
})

test('part_over_its_budget_is_found', () => {
  const rows = weigh(built.texts, { core: 10, 'core+auto': 10_000 })
  assert.deepEqual(rows.filter((row) => row.brotli > row.limit).map((row) => row.name), ['core'])
})

test('parts_use_no_sink_and_no_store', () => {
  for (const [name, text] of Object.entries(built.texts)) {
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name)
    assert.doesNotMatch(text, /sessionStorage|indexedDB/, name)
    if (!['visitor', 'exclude'].includes(name)) assert.doesNotMatch(text, /localStorage\.setItem|localStorage(\.\w+|\[.*?\])\s*=[^=]/, name)
    if (name != 'banner') assert.doesNotMatch(text, /\.cookie\s*=[^=]/, name)
  }
})
