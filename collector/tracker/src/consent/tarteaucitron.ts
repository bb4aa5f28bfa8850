// tarteaucitron 1.x. Its event comes at load as well, when services are neither true nor false yet.
import { adapter, page } from './adapter'

adapter('tarteaucitron', {
  events: 'tac.consent_updated tac.root_available',
  ids: { analytic: 4, ads: 8, social: 8, support: 2, comment: 2, video: 0, api: 0, other: 0 },
  read() {
    const { state, services } = page.tarteaucitron
    const decided = Object.keys(state).filter((service) => typeof state[service] == 'boolean')
    if (decided.length) return decided.map((service) => [services[service].type, state[service]])
  },
})
