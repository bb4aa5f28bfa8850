// vanilla-cookieconsent 3 (orestbida).
import { adapter, page } from './adapter'

adapter('vanilla-cookieconsent', {
  events: 'cc:onConsent cc:onChange',
  read() {
    const { CookieConsent } = page
    if (!CookieConsent.validConsent()) return
    const { acceptedCategories, rejectedCategories } = CookieConsent.getUserPreferences()
    return [...acceptedCategories.map((id: string) => [id, true]), ...rejectedCategories.map((id: string) => [id, false])]
  },
})
