// The shapes that the core and its modules share. Types only: nothing here reaches a browser.

/** Consent categories as bits of one mask. Undecided is not a mask: it is the absence of one. */
export const enum Consent {
  Essential = 1,
  Preference = 2,
  Analytics = 4,
  Marketing = 8,
}

/** What a hit is: pageview, engagement, custom event, web vitals, clicks, consent decision. */
export type Kind = 'p' | 'e' | 'x' | 'w' | 'c' | 'o'

export type Props = Record<string, string | number | boolean>

/** `window.sotto`, also the whole of what a module may use. */
export interface Sotto {
  /** Counts a custom event, or with the name `pageview` a pageview of `props.u`. */
  (name: string, props?: Props, amount?: number, currency?: string): void
  /** Consent mask in force; absent while nobody has decided. */
  c?: number
  /** Random id of a visitor who consented to analytics; there with the module `visitor`. */
  readonly y?: string
  /** Address of the visitor's page at the collector, with id and receipt behind the "#"; there like `erase`. */
  privacy?(): string
  /**
   * Erases what the collector holds under the visitor's id, in force or just withdrawn; there with `rights` and `banner`.
   * Resolves with how much it was and a receipt, with `error` where it failed, and with nothing where there is no id.
   */
  erase?(): Promise<{ erased?: number; receipt?: string; error?: string } | undefined>
  /** Sends one hit of the current page view. Does nothing before the first view or after an opt-out. */
  send(kind: Kind, fields: object): void
  /** Sets the mask and tells the server and the modules (event `sotto:consent` on window). */
  consent(mask: number, source?: string): void
  /** Registers a consent manager; there with the module `consent`. */
  adapter?(source: string, adapter: Adapter): void
  /** Marks of the modules that run already. */
  [module: `_${string}`]: 1 | undefined
}

/** One category or service of a consent manager, by the manager's own id. */
export type Choice = [id: string, granted: boolean]

/** What a consent manager says: choices, or a mask where it has no categories. */
export type Decision = Choice[] | number

export interface Adapter {
  /**
   * The visitor's decision; undefined while there is none or the manager is not there yet. Managers
   * that answer later call `decide` instead. May throw: a half-loaded manager is asked again.
   */
  read(decide: (decision: Decision) => void): Decision | undefined | void
  /** Categories of the manager's ids, where their names do not say it; 0 is known and of no category. */
  ids?: Record<string, number>
  /** Events on window or document after which to read again, separated by spaces. */
  events?: string
  /** Subscribes by other means. Tried until it returns true. */
  watch?(again: () => void): boolean | void
  /** The manager tells nobody about changes: keep asking. */
  silent?: boolean
}

/** Arguments of an early call, as `arguments` or an array. */
export type Call = IArguments | [name: string, props?: Props, amount?: number, currency?: string]

/** What a page may put at `window.sotto` before the script arrives, so that early calls are kept. */
export interface Stub {
  send?: undefined
  q?: Call[]
}

declare global {
  interface Window {
    sotto?: Sotto | Stub
  }
  interface Navigator {
    globalPrivacyControl?: boolean
  }
}
