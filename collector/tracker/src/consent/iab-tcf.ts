// IAB TCF 2.x. Analytics needs purposes 1 and 8, marketing 1, 3 and 4, preference 1, 5 and 6. Where the
// GDPR does not apply nobody has been asked: that stays undecided.
import { adapter, page } from './adapter'

let listening = false

adapter('iab-tcf', {
  read(decide) {
    if (listening) return
    page.__tcfapi('addEventListener', 2, (data: any, ok: boolean) => {
      if (!ok || data.gdprApplies === false || !/^(tcloaded|useractioncomplete)$/.test(data.eventStatus)) return
      const { consents } = data.purpose
      const all = (...purposes: number[]) => purposes.every((purpose) => consents[purpose])
      decide(1 | (all(1, 5, 6) ? 2 : 0) | (all(1, 8) ? 4 : 0) | (all(1, 3, 4) ? 8 : 0))
    })
    listening = true
  },
})
