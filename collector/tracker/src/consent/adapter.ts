import { module } from '../module'
import type { Adapter } from '../sotto'

/** Registers the adapter of one consent manager, once, behind the module `consent`. */
export function adapter(source: string, adapter: Adapter) {
  module(`_${source}`, (sotto) => sotto.adapter?.(source, adapter))
}

/** Globals of other people's scripts, which have no types here. */
export const page = window as any
