// Events without writing code: outbound links, downloads, contact links, forms, 404 pages, tagged elements.
//
// Never read: what is typed into a form, the text of a link, a telephone number, a mail address.
// Navigation is never delayed: the core's requests outlive the page.

import { module } from './module'
import type { Props } from './sotto'

const FILE =
  /\.(pdf|(xls|doc|ppt)x?|od[st]|csv|txt|zip|[7g]z|rar|dmg|pkg|exe|msi|deb|rpm|apk|mp[34]|mov|avi|wav|epub|ics)$/i

module('_auto', (sotto) => {
  const report = (name: string, key: string, value: string) => sotto(name, { [key]: value.slice(0, 200) })

  function click(event: MouseEvent) {
    if (event.button > 1) return
    const target = (event.target as Element).closest?.<HTMLAnchorElement>('[data-sotto]:not(form),a[href]')
    if (!target) return
    const { dataset, host, pathname } = target
    if (dataset.sotto) {
      // data-sotto-plan="pro" becomes {plan: "pro"}; data-sotto-mask belongs to the click map.
      const props: Props = {}
      for (const key in dataset)
        if (/^sotto(?!Mask)./.test(key)) props[key.slice(5).toLowerCase()] = dataset[key]!
      return sotto(dataset.sotto, props)
    }
    // wa.me/<number> and the like carry a telephone number in the path: only the kind is reported.
    const contact = /(^|\.)(wa\.me|whatsapp\.com)$/.test(host)
      ? 'whatsapp'
      : /^(mailto|tel|sms|whatsapp):/.exec(target.protocol)?.[1]
    const file = FILE.test(pathname) || target.hasAttribute('download')
    if (contact) report('contact', 'type', contact)
    else if (host && (file || host != location.host)) report(file ? 'download' : 'outbound', 'url', target.origin + pathname)
  }

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
  if (document.querySelector('[name="sotto:status"][content="404"]')) report('404', 'path', location.pathname)
})
