// Events without writing code: outbound links, downloads, contact links, forms, 404 pages, tagged elements.
//
// Never read: what is typed into a form, the text of a link, a telephone number, a mail address.
// Navigation is never delayed: the core's requests outlive the page.
//
// As in the core, what can stand in any order stands in the one that compresses best.

import { module } from './module'
import type { Props } from './sotto'

module('_auto', (sotto) => {
  const report = (name: string, key: string, value: string) => sotto(name, { [key]: value.slice(0, 200) })

  const click = (event: MouseEvent) => {
    if (event.button > 1) return
    const target = (event.target as Element).closest?.<HTMLAnchorElement>('a[href],[data-sotto]:not(form)')
    if (!target) return
    const { pathname, host, dataset } = target
    if (dataset.sotto) {
      // data-sotto-plan="pro" becomes {plan: "pro"}; data-sotto-mask belongs to the click map.
      const props: Props = {}
      for (const key in dataset)
        if (/^sotto(?!Mask)./.test(key)) props[key.slice(5).toLowerCase()] = dataset[key]!
      return sotto(dataset.sotto, props)
    }
    // wa.me/<number> and the like carry a telephone number in the path: only the kind is reported.
    const contact = /(^|\.)(whatsapp\.com|wa\.me)$/.test(host)
      ? 'whatsapp'
      : /^(tel|mailto|whatsapp|sms):/.exec(target.protocol)?.[1]
    const file =
      /\.([7g]z|msi|dmg|wav|csv|epub|zip|ics|pdf|apk|deb|exe|pkg|od[st]|rpm|(ppt|doc|xls)x?|mp[34]|mov|rar|txt|avi)$/i.test(pathname) ||
      target.hasAttribute('download')
    if (contact) report('contact', 'type', contact)
    else if (host && (host != location.host || file)) report(file ? 'download' : 'outbound', 'url', target.origin + pathname)
  }

  if (document.querySelector('[name="sotto:status"][content="404"]')) report('404', 'path', location.pathname)
  addEventListener('click', click)
  addEventListener('auxclick', click)
  addEventListener(
    'submit',
    ({ target }) => {
      // Attributes and not properties: an input named "id" or "action" hides the form's own.
      const read = (attribute: string) => (target as Element).getAttribute(attribute)
      report(read('data-sotto') || 'form', 'form', read('id') || read('name') || new URL(read('action') || '', location.href).pathname)
    },
    true,
  )
})
