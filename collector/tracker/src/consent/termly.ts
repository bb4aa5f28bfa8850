// Termly. It has no mark for "decided": a state counts after its event, or when it allows anything.
import { adapter, page } from './adapter'

let asked = false

adapter('termly', {
  watch(again) {
    page.Termly.on('initialized', again)
    page.Termly.on('consent', () => {
      asked = true
      again()
    })
    return true
  },
  read() {
    const state = page.Termly.getConsentState()
    const choices = Object.keys(state).map((id): [string, boolean] => [id, state[id] === true])
    if (asked || choices.some(([id, granted]) => granted && id != 'essential')) return choices
  },
})
