// Own visits: the link `#sotto-exclude=<token>` of `sotto site exclude-link`, opened once per browser.
//
// The token is signed; the collector says whether it is good, so that nobody can switch off the counting of others
// with a link of their own making. Then the browser notes that it is not to be counted, in the key that the core
// reads before it sends anything. `#sotto-exclude=off` takes the note back.

const KEY = 'sotto_ignore'

function open() {
  const script = document.currentScript as HTMLScriptElement | null
  const token = /^#sotto-exclude=(\w+)$/.exec(location.hash)?.[1]
  if (!script || !token) return
  const say = (text: string) => alert('Sotto: ' + text)
  if (token == 'off') {
    localStorage.removeItem(KEY)
    return say('visits with this browser are counted again.')
  }
  fetch(new URL('x', script.dataset.api || script.src), {
    method: 'POST',
    credentials: 'omit',
    body: JSON.stringify({ s: script.dataset.site, t: token }),
  }).then(
    (answer) => {
      if (!answer.ok) return say('this link is not valid for this site.')
      localStorage.setItem(KEY, '1')
      say('visits with this browser are not counted any more.')
    },
    () => say('the collector cannot be reached. Try the link again.'),
  )
}

open()

export {}
