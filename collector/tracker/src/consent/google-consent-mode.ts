// Google Consent Mode v2, read from the data layer. A default is the owner's; only an update is a decision.
import { adapter, page } from './adapter'

adapter('google-consent-mode', {
  silent: true,
  ids: {
    security_storage: 1, functionality_storage: 2, personalization_storage: 2, analytics_storage: 4,
    ad_storage: 8, ad_user_data: 8, ad_personalization: 8, wait_for_update: 0,
  },
  read() {
    const updates = (page.dataLayer || []).filter((entry: any) => entry && entry[0] === 'consent' && entry[1] === 'update')
    if (!updates.length) return
    const latest: Record<string, string> = Object.assign({}, ...updates.map((entry: any) => entry[2]))
    return Object.keys(latest).map((id) => [id, latest[id] == 'granted'])
  },
})
