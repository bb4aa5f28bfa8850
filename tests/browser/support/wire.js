import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Ajv2020 from 'ajv/dist/2020.js'

const schema = join(import.meta.dirname, '../../../collector/tracker/wire/v1.schema.json')

/** Whether a body is of the wire format, by the schema that the server's parser is tested with too. */
export const valid = new Ajv2020({ strictTypes: false, strictRequired: false, allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(schema, 'utf8')),
)
