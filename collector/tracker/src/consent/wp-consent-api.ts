// WP Consent API. It answers yes to everything while no consent type is set, and in opt-out regions
// before anybody has decided: its cookies tell whether somebody has.
import { adapter, page } from './adapter'

adapter('wp-consent-api', {
  events: 'wp_listen_for_consent_change wp_consent_type_defined',
  read() {
    if (!(page.wp_consent_type || page.wp_fallback_consent_type)) return
    if (/_(preferences|statistics|marketing)=(allow|deny)/.test(document.cookie))
      return ['preferences', 'statistics', 'marketing'].map((id) => [id, !!page.wp_has_consent(id)])
  },
})
