// IAB GPP, sections of the United States: an opt-out of sale, sharing or targeted advertising refuses
// marketing. In these laws the absence of an opt-out allows.
import { adapter, page } from './adapter'

let listening = false

adapter('iab-gpp', {
  read(decide) {
    if (listening) return
    const look = (ping: any) => {
      if (ping.signalStatus != 'ready') return
      const sections = Object.keys(ping.parsedSections).filter((name) => /^us/.test(name))
      if (!sections.length) return
      const out = sections.some((name) =>
        [ping.parsedSections[name]].flat().some((part) =>
          ['SaleOptOut', 'SharingOptOut', 'TargetedAdvertisingOptOut', 'Gpc'].some((field) => part[field] === 1 || part[field] === true),
        ),
      )
      decide(out ? 7 : 15)
    }
    page.__gpp('addEventListener', (event: any, ok: boolean) => {
      if (ok && /^(signalStatus|sectionChange|listenerRegistered)$/.test(event.eventName)) look(event.pingData)
    })
    listening = true
  },
})
