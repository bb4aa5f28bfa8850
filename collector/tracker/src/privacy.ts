// The visitor's rights, from the website: the address of their page at the collector, and erasing.
//
// The id and the receipt go behind the "#" of the address, which no server and no log sees.

import { module } from './module'

export const rights = () =>
  module('_rights', (sotto) => {
    const script = document.currentScript as HTMLScriptElement
    let id: string | undefined // stays for `erase` when a refusal has removed it
    const address = (path: string) => new URL('privacy' + path, script.dataset.api || script.src)
    const note = () => (id = sotto.y || id)

    sotto.privacy = () => {
      const page = address('?s=' + script.dataset.site)
      const receipt = /sotto_consent=\d+\.[\d-]+\.(\w+)/.exec(document.cookie)
      page.hash = `y=${note() || ''}&r=${receipt ? receipt[1] : ''}`
      return page.href
    }
    sotto.erase = async () => {
      if (note())
        return (await fetch(address('/erase'), { method: 'POST', credentials: 'omit', body: JSON.stringify({ s: script.dataset.site, y: id }) })).json()
    }
    // Behind the module that makes the id, and before a refusal removes it.
    queueMicrotask(note)
    addEventListener('sotto:consent', note)
    addEventListener(
      'click',
      (event) => {
        const link = (event.target as Element).closest?.('a[data-sotto-privacy]') as HTMLAnchorElement | null
        if (link) link.href = sotto.privacy!()
      },
      true,
    )
  })
