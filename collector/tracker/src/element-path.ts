/**
 * Where an element is in the structure of its page: at most 6 levels, from the nearest usable id. Ids with long digit runs are
 * generated (or name a record): the position among siblings is used.
 */
export function elementPath(element: Element | null) {
  const steps: string[] = []
  while (element && element != document.body && steps.length < 6) {
    if (/^[a-z](?!.*\d{3})[\w-]{0,39}$/i.test(element.id)) {
      steps.unshift('#' + element.id)
      break
    }
    let index = 1
    let sibling: Element | null = element
    while ((sibling = sibling.previousElementSibling)) if (sibling.localName == element.localName) index++
    steps.unshift(element.localName.slice(0, 30) + (index > 1 ? ':' + index : ''))
    element = element.parentElement
  }
  return steps.join('>').slice(0, 256)
}
