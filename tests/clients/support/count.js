// What GoatCounter's count.js (v4, v5) sends, by its documentation: its own file is not on npm. To test with that file
// instead, name it in SOTTO_COUNT_JS.
;(() => {
  const given = document.querySelector('script[data-goatcounter]').dataset
  const url = ({ path, title, referrer, event } = {}) => {
    const data = {
      p: path ?? location.pathname + location.search,
      r: referrer ?? document.referrer,
      t: title ?? document.title,
      e: !!event,
      s: screen.width,
      b: navigator.webdriver ? 153 : 0,
      q: location.search,
      rnd: Math.random().toString(36).slice(2, 7),
    }
    const pairs = Object.entries(data).filter(([, value]) => value !== '' && value !== false)
    return given.goatcounter + '?' + pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')
  }
  window.goatcounter = { url, count: (vars) => navigator.sendBeacon(url(vars)) }
  if (!JSON.parse(given.goatcounterSettings || '{}').no_onload) window.goatcounter.count()
})()
