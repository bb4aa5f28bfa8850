// The choice as the visitor keeps it: one first-party cookie of at most six months, not renewed by visits.
// sotto_consent=<mask>.<day>.<receipt>.<policy version>

export interface Choice {
  mask: number
  /** yyyy-mm-dd */
  day: string
  /** Random, of this one decision; it names no person. */
  receipt: string
  version: string
}

const NAME = 'sotto_consent'
const MAX_AGE_S = 180 * 86_400

/** The stored choice, unless the policy has changed since: then the visitor is asked again. */
export function stored(version: string): Choice | undefined {
  const found = new RegExp(`(?:^|; )${NAME}=(\\d+)\\.([\\d-]+)\\.(\\w+)\\.([^;]*)`).exec(document.cookie)
  if (found && decodeURIComponent(found[4]) == version && +found[1] & 1 && +found[1] < 16)
    return { mask: +found[1], day: found[2], receipt: found[3], version }
}

export function store(mask: number, version: string): Choice {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const receipt = Array.from(bytes, (byte) => (byte % 36).toString(36)).join('')
  const day = new Date().toISOString().slice(0, 10)
  const secure = location.protocol == 'https:' ? ';Secure' : ''
  document.cookie = `${NAME}=${mask}.${day}.${receipt}.${encodeURIComponent(version)};Max-Age=${MAX_AGE_S};Path=/;SameSite=Lax${secure}`
  return { mask, day, receipt, version }
}
