import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { startSotto } from './support/sotto.js'

let sotto, server
const got = []
before(async () => {
  sotto = await startSotto()
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (text) => (body += text))
    request.on('end', () => {
      got.push({ headers: request.headers, body })
      response.writeHead(204).end()
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(() => Promise.all([sotto?.stop(), server?.close()]))

test('signature_is_verified_by_the_library_of_standard_webhooks', async () => {
  const key = await sotto.site('hooks.example')
  const url = `http://127.0.0.1:${server.address().port}/in`
  const [added] = JSON.parse(await sotto.run('webhook', 'add', key, url, '--json'))
  await sotto.run('webhook', 'test', key, added.id)
  const [{ headers, body }] = got
  const told = new Webhook(added.secret).verify(body, headers)
  assert.equal(told.type, 'test')
  assert.equal(told.site.key, key)
  // A planted fault of every kind: the library checks what we believe it checks.
  assert.throws(() => new Webhook(added.secret).verify(body + ' ', headers))
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
    assert.throws(() => new Webhook(added.secret).verify(body, { ...headers, [name]: headers[name].replace(/\d/, (digit) => 9 - digit) }), name)
  }
  assert.throws(() => new Webhook('whsec_' + Buffer.alloc(32).toString('base64')).verify(body, headers))
})
