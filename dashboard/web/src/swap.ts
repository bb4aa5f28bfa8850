// Links within the report replace only the report: no flash, the scroll position stays, Back works.
const isPlain = (event: MouseEvent) =>
  event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;

let running: AbortController | undefined;

export const swap = (enhance: (root: ParentNode) => void) => {
  const report = () => document.querySelector<HTMLElement>('#report');
  if (!report()) return;

  const load = async (url: string, push: boolean) => {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const focus = document.activeElement?.id;
    report()?.setAttribute('aria-busy', 'true');
    try {
      const answer = await fetch(url, { signal, headers: { accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.querySelector('#report');
      if (!fresh || answer.redirected || !answer.ok) {
        location.assign(url);
        return;
      }
      report()?.replaceWith(document.adoptNode(fresh));
      document.title = page.title;
      if (push) history.pushState(null, '', url);
      const next = report();
      if (next) enhance(next);
      // What was chosen may be gone, as a row is that became a filter. What it led to is read out then.
      const kept = focus && document.getElementById(focus);
      const to = kept || document.getElementById('filters') || document.getElementById('about');
      to?.focus({ preventScroll: true });
    } catch {
      if (!signal.aborted) location.assign(url);
    }
  };

  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>('#report a[href]');
    if (!link || !isPlain(event) || link.target || link.pathname !== location.pathname) return;
    event.preventDefault();
    void load(link.href, true);
  });
  document.addEventListener('submit', (event) => {
    const form = event.target as HTMLFormElement;
    if (!form.matches('#report form[method=get]')) return;
    event.preventDefault();
    const query = new URLSearchParams(new FormData(form) as unknown as Record<string, string>);
    void load(`${location.pathname}?${query}`, true);
  });
  addEventListener('popstate', () => void load(location.href, false));
};
