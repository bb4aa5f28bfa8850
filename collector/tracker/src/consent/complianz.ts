// Complianz. Its status event comes once per category.
import { adapter, page } from './adapter'

adapter('complianz', {
  events: 'cmplz_status_change cmplz_fire_categories',
  read() {
    const { cmplz_has_consent: granted, cmplz_get_cookie: cookie } = page
    if (!cookie || cookie('banner-status')) return ['preferences', 'statistics', 'marketing'].map((id) => [id, !!granted(id)])
  },
})
