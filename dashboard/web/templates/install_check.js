// Paste this into the console of the page that is not counted. It changes nothing and says what is wrong.
(async ({ site, hosts }) => {
  const found = (what, text) => (console.log(`Sotto: ${text} (${what})`), what);
  const violated = [];
  const remember = ({ effectiveDirective }) => violated.push(effectiveDirective);
  addEventListener('securitypolicyviolation', remember);
  const policyForbids = (directive) => violated.some((name) => name.startsWith(directive));

  const tag = document.querySelector('script[data-site]');
  if (!tag) return found('no_tag', 'this page has no tag with data-site.');
  const { dataset } = tag;
  const host = location.hostname;
  if (dataset.site !== site) return found('wrong_key', `the tag says data-site="${dataset.site}", the site is ${site}.`);
  if (dataset.local == null && /^(localhost|127\..*|\[::1]|)$/.test(host))
    return found('loopback', 'pages on this machine are not counted; data-local on the tag counts them for a test.');
  if (!hosts.some((own) => host === own || host.endsWith('.' + own)))
    return found('wrong_host', `this page is on ${host}; the site counts ${hosts.join(', ')}. Add the host in its settings.`);
  if (dataset.frame == null && window !== top) return found('frame', 'frames are not counted; data-frame on the tag counts them.');
  let optedOut;
  try {
    optedOut = localStorage.sotto_ignore;
  } catch {}
  if (optedOut) return found('opted_out', 'this browser opted out (localStorage.sotto_ignore).');

  if (!window.sotto?.send) {
    const again = document.createElement('script');
    Object.assign(again.dataset, dataset);
    again.nonce = tag.nonce;
    again.crossOrigin = tag.crossOrigin;
    if (tag.integrity) again.integrity = tag.integrity;
    const loaded = await new Promise((resolve) => {
      again.onload = () => resolve(true);
      again.onerror = () => resolve(false);
      try {
        again.src = tag.src;
        document.head.append(again);
      } catch {
        resolve(false);
      }
    });
    if (loaded) return found('not_run', 'the script runs now but had not before: is the tag a module, or blocked until consent?');
    if (policyForbids('script-src') || policyForbids('require-trusted-types'))
      return found('csp_script', `the page's Content-Security-Policy forbids the script: allow ${new URL(tag.src).origin} in script-src.`);
    const answer = await fetch(tag.src, { cache: 'no-store' }).catch(() => undefined);
    if (answer && !answer.ok) return found('wrong_address', `there is no script at ${tag.src} (${answer.status}).`);
    if (answer && tag.integrity) return found('integrity', 'the script is not the one that integrity names: copy the tag again.');
    return found('blocked_script', `the script does not arrive: a blocker in this browser, or ${tag.src} cannot be reached.`);
  }

  const endpoint = new URL(dataset.api || new URL('e', tag.src), location);
  const answer = await fetch(endpoint, { method: 'POST', credentials: 'omit', body: 'check' }).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 50));
  if (!answer && policyForbids('connect-src'))
    return found('csp_connect', `the page's Content-Security-Policy forbids sending: allow ${endpoint.origin} in connect-src.`);
  if (!answer) return found('blocked', `hits do not arrive: a blocker in this browser, or ${endpoint} cannot be reached.`);
  if (answer.status >= 500) return found('busy', `the server is busy (${answer.status}); hits are sent again.`);
  if (answer.status !== 204) return found('wrong_endpoint', `${endpoint} does not take hits (${answer.status}): look at the proxy.`);
  if (navigator.webdriver) return found('robot', 'this browser is driven by a program; robots are not counted.');
  return found('ok', 'the script runs and hits arrive. What became of them is on the install page.');
})({{ expected }});
