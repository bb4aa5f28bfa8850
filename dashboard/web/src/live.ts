// Keeps a page of what happens right now true while somebody looks.
const PAUSE_MS = 30_000;

export const live = () => {
  const part = document.querySelector<HTMLElement>('[data-live]');
  if (!part) return;
  let source: EventSource | undefined;

  const show = (html: string) => {
    // What was opened stays open, what has the focus keeps it.
    const open = part.querySelector('details[open]') !== null;
    const href = (document.activeElement as HTMLAnchorElement | null)?.href;
    part.replaceChildren(...new DOMParser().parseFromString(html, 'text/html').body.childNodes);
    const details = part.querySelector('details');
    if (details) details.open = open;
    const link = href && [...part.querySelectorAll('a')].find((a) => a.href === href);
    if (link) link.focus({ preventScroll: true });
  };
  const watch = () => {
    source?.close();
    if (document.hidden) return;
    source = new EventSource(part.dataset.live ?? '');
    source.onmessage = (event) => show(JSON.parse(event.data as string) as string);
    source.addEventListener('end', () => location.reload());
    // Refused: too many watch, or the server is away. Where it only broke off, the browser asks again by itself.
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) setTimeout(watch, PAUSE_MS);
    };
  };
  document.addEventListener('visibilitychange', watch);
  watch();
};
