// Shopify customer privacy.
import { adapter, page } from './adapter'

adapter('shopify', {
  events: 'visitorConsentCollected',
  read() {
    const consent = page.Shopify.customerPrivacy.currentVisitorConsent()
    if (consent.analytics) return ['preferences', 'analytics', 'marketing'].map((id) => [id, consent[id] == 'yes'])
  },
})
