import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Ajv2020 from 'ajv/dist/2020.js'

const read = (name) => JSON.parse(readFileSync(join(import.meta.dirname, name), 'utf8'))
const vectors = read('vectors.json')
const validate = new Ajv2020({ strictTypes: false, strictRequired: false, allowUnionTypes: true }).compile(read('v1.schema.json'))

for (const { name, hit, valid, why } of vectors)
  test(`${name}_is_${valid ? 'valid' : 'invalid'}`, () => {
    assert.equal(validate(hit), valid, `${why}: ${JSON.stringify(validate.errors?.slice(0, 3))}`)
  })

test('vectors_cover_every_kind_both_ways', () => {
  for (const kind of ['p', 'e', 'x', 'w', 'c', 'o'])
    for (const valid of [true, false])
      assert.ok(vectors.some((vector) => vector.hit?.k == kind && vector.valid == valid), `${kind} ${valid}`)
})
