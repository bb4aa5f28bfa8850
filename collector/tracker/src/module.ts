import type { Sotto } from './sotto'

/** Runs a module once per page, however often its file is included, and only behind a core. */
export function module(name: `_${string}`, run: (sotto: Sotto) => void) {
  const sotto = window.sotto
  if (sotto?.send && !sotto[name]) {
    sotto[name] = 1
    run(sotto)
  }
}

/** Calls `report` before the current view is left; `ending` is true when this document goes on. */
export function beforeLeaving(report: (ending: boolean) => void) {
  addEventListener('sotto:flush', (event) => report((event as CustomEvent).detail === 1))
}

/** The visitor pays for data: modules that can be done without stay still. */
export function savesData() {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData
}
