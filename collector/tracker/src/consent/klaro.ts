// Klaro 0.7. It has no DOM event: its manager is watched. The notification `consents` comes at every
// toggle that is not saved yet, so only `saveConsents` counts. A service marked as required is the
// operator's decision and says nothing about the visitor's.
import { adapter, page } from './adapter'

adapter('klaro', {
  watch(again) {
    page.klaro.getManager().watch({ update: (_: unknown, name: string) => name == 'saveConsents' && again() })
    return true
  },
  read() {
    const manager = page.klaro.getManager()
    if (!manager.confirmed) return
    return manager.config.services
      .filter((service: any) => !service.required)
      .flatMap((service: any) => (service.purposes || []).map((purpose: string) => [purpose, !!manager.savedConsents[service.name]]))
  },
})
