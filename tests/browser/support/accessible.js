// What every page of the dashboard keeps to, in light and dark, on a phone and on a screen.

import assert from 'node:assert/strict'
import AxeBuilder from '@axe-core/playwright'

const SCREENSHOTS = process.env.SOTTO_SCREENSHOTS

/** No violation in light and dark, no sideways scrolling on a phone. */
export async function check(page, name) {
  const refused = []
  page.on('console', (message) => /Content.Security.Policy/i.test(message.text()) && refused.push(message.text()))
  for (const colorScheme of ['light', 'dark'])
    for (const width of [375, 1440]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 900 })
      if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}-${colorScheme}-${width}.png`, fullPage: true })
      const { violations } = await new AxeBuilder({ page }).analyze()
      assert.deepEqual(violations.map((v) => [v.id, v.nodes.map((n) => n.target)]), [], `${name} ${colorScheme} ${width}`)
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(beyond <= 0, `${name} at ${width} scrolls sideways by ${beyond}`)
    }
  assert.deepEqual(refused, [], name)
}
