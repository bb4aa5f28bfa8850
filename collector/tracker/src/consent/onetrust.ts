// OneTrust and CookiePro. Their group ids can be configured: others than these are reported as unmapped.
import { adapter, page } from './adapter'

adapter('onetrust', {
  events: 'OneTrustGroupsUpdated OTConsentApplied',
  ids: { C0001: 1, C0002: 4, C0003: 2, C0004: 8, C0005: 8 },
  read() {
    if (page.OneTrust.IsAlertBoxClosed())
      return page.OnetrustActiveGroups.split(',').filter(Boolean).map((id: string) => [id, true])
  },
})
