// Cookiebot.
import { adapter, page } from './adapter'

adapter('cookiebot', {
  events: 'CookiebotOnConsentReady CookiebotOnAccept CookiebotOnDecline',
  read() {
    const { Cookiebot } = page
    if (Cookiebot.hasResponse) return ['preferences', 'statistics', 'marketing'].map((id) => [id, Cookiebot.consent[id] === true])
  },
})
