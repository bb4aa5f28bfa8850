import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startSotto } from './support/sotto.js'

const SCHEMATHESIS = join(import.meta.dirname, '.schemathesis')
// What is allowed besides the form of a body, as that a time zone exists, is said by the server and not by the description.
const BEYOND_THE_FORM = 'positive_data_acceptance'

let sotto
let token
before(async () => {
  sotto = await startSotto()
  await sotto.site('described.example')
  const [made] = JSON.parse(await sotto.run('token', 'add', 'all sites', '--scope', 'manage', '--json'))
  token = made.token
})
after(() => sotto?.stop())

/** Sends requests made from a description of the API, right and wrong ones. */
async function tried(address) {
  const options = ['--max-examples', '8', '--seed', '1', '--phases', 'examples,coverage,fuzzing', '--exclude-checks', BEYOND_THE_FORM]
  const words = ['-m', 'schemathesis.cli', 'run', sotto.url + address, '-H', `Authorization: Bearer ${token}`, ...options]
  // What it found is kept for it to send again.
  const cwd = await mkdtemp(join(tmpdir(), 'sotto-described-'))
  const child = spawn('python3', words, { cwd, env: { ...process.env, PYTHONPATH: SCHEMATHESIS }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => said.push(text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  await rm(cwd, { recursive: true })
  return { code, said: Buffer.concat(said).toString() }
}

for (const [version, operations] of [[1, 26], [2, 1]]) {
  test(`answers_of_version_${version}_are_as_its_description_says`, async () => {
    const { code, said } = await tried(`/api/v${version}/openapi.json`)
    assert.equal(code, 0, said)
    assert.match(said, new RegExp(`Tested: ${operations}\\b`), said)
  })
}
