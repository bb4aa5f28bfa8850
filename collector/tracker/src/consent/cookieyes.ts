// CookieYes.
import { adapter, page } from './adapter'

adapter('cookieyes', {
  events: 'cookieyes_consent_update cookieyes_banner_load',
  read() {
    const { isUserActionCompleted, categories } = page.getCkyConsent()
    if (isUserActionCompleted) return Object.keys(categories).map((id) => [id, categories[id] === true])
  },
})
