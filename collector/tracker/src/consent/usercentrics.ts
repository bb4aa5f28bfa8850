// Usercentrics, version 3 (asynchronous) and version 2.
import { adapter, page } from './adapter'

adapter('usercentrics', {
  events: 'UC_UI_INITIALIZED UC_UI_CMP_EVENT',
  read(decide) {
    const { __ucCmp: v3, UC_UI: v2 } = page
    if (v3)
      v3.isInitialized()
        .then((ready: boolean) => ready && v3.getConsentDetails())
        .then((details: any) => {
          if (details?.consent.type != 'EXPLICIT') return
          decide(Object.keys(details.categories).map((id) => [id, details.categories[id].state == 'ALL_ACCEPTED']))
        })
        .catch(() => {})
    else if (v2.isInitialized() && !v2.isConsentRequired())
      return v2.getServicesBaseInfo().map((service: any) => [service.categorySlug, !!service.consent.status])
  },
})
