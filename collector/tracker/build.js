// Bundles every module into a part that stands alone, writes dist/ and holds the sizes to budget.json.
//
// The server joins parts (core first, then the rest sorted by name) and compresses the result itself.
// The output depends on the sources and the pinned tools only: the same commit gives the same bytes.

import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const here = import.meta.dirname

/** name -> source. Every file of src/consent but the shared ones is an adapter `consent-<vendor>`. */
export async function sources() {
  const parts = { core: 'src/core.ts', auto: 'src/auto.ts', clicks: 'src/clicks.ts', visitor: 'src/visitor.ts', rights: 'src/rights.ts', vitals: 'src/vitals.ts', exclude: 'src/exclude.ts' }
  for (const file of (await readdir(join(here, 'src/consent'))).sort()) {
    const name = basename(file, '.ts')
    if (name == 'index') parts.consent = 'src/consent/index.ts'
    else if (name != 'adapter') parts['consent-' + name] = 'src/consent/' + file
  }
  // Adapters of other products' tags stand before the core.
  for (const file of (await readdir(join(here, 'src/speaks'))).sort()) if (file != 'tag.ts') parts['speaks-' + basename(file, '.ts')] = 'src/speaks/' + file
  for (const name of ['banner', 'overlay']) parts[name] = `src/${name}/index.ts`
  return parts
}

/** Every name of the collector's table, in its order. */
export async function clickIds() {
  const text = await readFile(join(here, '../data/click_ids.toml'), 'utf8')
  const names = [...text.matchAll(/^ *\{ name = "(\w+)"/gm)].map((match) => match[1])
  if (names.length != text.match(/^ *\{/gm)?.length) throw new Error('click_ids.toml: an entry without a name, or not on a line of its own')
  return names
}

/** Names that are made like most click ids need no mention. */
const USUAL = '\\w*cl(ic)?k?id'

/** All names as one regular expression. */
export async function clickIdPattern() {
  const usual = new RegExp(`^${USUAL}$`)
  return [USUAL, ...(await clickIds()).filter((name) => !usual.test(name))].join('|')
}

const clickIdPlugin = {
  name: 'click-ids',
  setup(build) {
    build.onLoad({ filter: /\/src\/core\.ts$/ }, async ({ path }) => {
      const [before, after, ...more] = (await readFile(path, 'utf8')).split('(CLICK_IDS)')
      if (after === undefined || more.length) throw new Error('core.ts does not say (CLICK_IDS) once')
      return { contents: `${before}(${await clickIdPattern()})${after}`, loader: 'ts' }
    })
  },
}

async function bundle(source) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2021',
    charset: 'utf8',
    legalComments: 'none',
    tsconfigRaw: '{}', // without "use strict": modules are strict in the sources already
    plugins: [clickIdPlugin],
    write: false,
  })
  return result.outputFiles[0].text.trimEnd()
}

export function sizes(text) {
  const bytes = Buffer.from(text)
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  return { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes, { params }).length }
}

export async function buildAll(out) {
  const texts = {}
  for (const [name, source] of Object.entries(await sources())) texts[name] = await bundle(source)
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const parts = {}
  const speaks = {}
  const hash = createHash('sha256')
  for (const name of Object.keys(texts).sort()) {
    const file = name + '.js'
    await writeFile(join(out, file), texts[name])
    hash.update(JSON.stringify([name, texts[name]]))
    if (name.startsWith('speaks-')) {
      speaks[name.slice('speaks-'.length)] = { file, ...sizes(texts[name]) }
      continue
    }
    const requires = name == 'core' ? [] : name.startsWith('consent-') ? ['core', 'consent'] : ['core']
    parts[name] = { file, requires, ...sizes(texts[name]) }
  }
  const manifest = { version: hash.digest('hex').slice(0, 16), parts, speaks }
  await writeFile(join(out, 'manifest.json'), JSON.stringify(manifest, null, 2) + '\n')
  return { manifest, texts }
}

/** What a site pays: the brotli size of joined parts, beside what budget.json allows. */
export function weigh(texts, budget) {
  const rows = Object.keys(texts).map((name) => ({ name, ...sizes(texts[name]), limit: budget[name] }))
  for (const name of Object.keys(budget).filter((name) => name.includes('+'))) {
    const joined = name.split('+').map((part) => texts[part] ?? '').join('')
    rows.push({ name, ...sizes(joined), limit: budget[name] })
  }
  return rows
}

function print(rows) {
  const line = (name, ...cells) => console.log(name.padEnd(34) + cells.map((cell) => String(cell).padStart(9)).join(''))
  line('part', 'raw', 'gzip', 'brotli', 'budget')
  for (const row of rows) line(row.name, row.raw, row.gzip, row.brotli, row.limit ?? '-')
}

if (process.argv[1] == import.meta.filename) {
  const { manifest, texts } = await buildAll(join(here, 'dist'))
  const rows = weigh(texts, JSON.parse(await readFile(join(here, 'budget.json'), 'utf8')))
  print(rows)
  console.log('version ' + manifest.version)
  const over = rows.filter((row) => row.brotli > row.limit)
  for (const row of over) console.error(`${row.name}: ${row.brotli} B brotli is over the budget of ${row.limit} B`)
  if (over.length) process.exitCode = 1
}
