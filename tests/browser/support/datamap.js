import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const text = readFileSync(join(import.meta.dirname, '../../../schema/datamap.toml'), 'utf8')
const BITS = { preference: 2, analytics: 4, marketing: 8 }

/** name -> category, read from the data map on its own, so that the program does not judge itself. */
export const categories = Object.fromEntries(
  text
    .split('[[field]]')
    .slice(1)
    .map((entry) => [/^name = "(.*)"$/m.exec(entry)[1], /^category = "(.*)"$/m.exec(entry)[1]]),
)

/** Fields of a row that a visitor who granted `mask` did not allow, where everything needs consent. */
export function forbidden(fields, mask) {
  return Object.keys(fields).filter((name) => {
    const category = categories[name]
    return category != 'essential' && !(mask & BITS[category])
  })
}
