// Didomi. Purposes have the ids of the IAB or of the owner.
import { adapter, page } from './adapter'

adapter('didomi', {
  ids: {
    cookies: 0,
    measure_content_performance: 4,
    market_research: 4,
    improve_products: 0,
    select_basic_ads: 8,
    create_ads_profile: 8,
    select_personalized_ads: 8,
    measure_ad_performance: 8,
    create_content_profile: 2,
    select_personalized_content: 2,
    use_limited_data_to_select_content: 0,
  },
  watch(again) {
    ;(page.didomiOnReady ||= []).push(again)
    ;(page.didomiEventListeners ||= []).push({ event: 'consent.changed', listener: again })
    return true
  },
  read() {
    const { Didomi } = page
    if (Didomi.shouldUserStatusBeCollected?.()) return
    const { purposes } = Didomi.getCurrentUserStatus()
    return Object.keys(purposes).map((id) => [id, !!purposes[id].enabled])
  },
})
