import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { BODY_BYTES_MAX, BOT, assertRow, bearer, startSotto } from './support/sotto.js'

let sotto
before(async () => {
  sotto = await startSotto()
})
after(() => sotto?.stop())

let views = 0
const pageview = (s, path) => ({ v: 1, s, k: 'p', i: (++views).toString(36), q: 0, u: `https://own.example${path}` })

test('outcome_is_told_to_a_token_of_the_site_and_to_nobody_else', async () => {
  const [own, other] = [await sotto.site('own.example'), await sotto.site('other.example')]
  const [reader, stranger] = [await sotto.token(own, 'read'), await sotto.token(other)]
  const outcome = async (body, headers = {}) => {
    const answer = await sotto.post('/e', body, headers)
    assert.equal(answer.status, 204)
    return answer.headers.get('x-sotto-outcome')
  }
  // Each a page view of its own: one that came before would be a repetition.
  const view = () => pageview(own, '/a')
  assert.equal(await outcome(view()), null)
  assert.equal(await outcome(view(), bearer('wrong')), null)
  assert.equal(await outcome(view(), bearer(stranger)), 'unknown', 'as little as of a site that is not there')
  assert.equal(await outcome(view(), { ...bearer(stranger), 'user-agent': BOT }), 'unknown')
  assert.equal(await outcome(pageview('nobody', '/a'), bearer(stranger)), 'unknown')
  assert.equal(await outcome(view(), { ...bearer(reader), 'user-agent': BOT }), 'bot_user_agent')
  assert.equal(await outcome([pageview(own, '/b'), { ...view(), u: 'https://foreign.example/' }], bearer(reader)), 'stored, foreign_hostname')
  for (const row of (await sotto.events(own, 4)).slice(0, 3)) assertRow(row, { kind: 'pageview', path: '/a' })
})

test('body_at_the_limit_is_taken_and_a_longer_one_is_not', async () => {
  const key = await sotto.site('limit.example')
  const body = JSON.stringify({ ...pageview(key, '/limit'), u: 'https://limit.example/' })
  assert.equal((await sotto.post('/e', body.padEnd(BODY_BYTES_MAX))).status, 204)
  assert.equal((await sotto.post('/e', body.padEnd(BODY_BYTES_MAX + 1))).status, 413)
  await sotto.events(key, 1)
})
