// iubenda. Purposes are numbered: 1 necessary, 2 functionality, 3 experience, 4 measurement, 5 marketing.
import { adapter, page } from './adapter'

adapter('iubenda', {
  silent: true,
  ids: { 1: 1, 2: 2, 3: 2, 4: 4, 5: 8 },
  read() {
    const { purposes } = page._iub.cs.consent
    if (purposes) return Object.keys(purposes).map((id) => [id, purposes[id] === true])
  },
})
