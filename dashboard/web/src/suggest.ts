// Proposes values while somebody types a filter: those that the page of filters has.
const PAUSE_MS = 150;

export const suggest = (root: ParentNode) => {
  const form = root.querySelector<HTMLFormElement>('form[data-suggest]');
  const value = form?.querySelector<HTMLInputElement>('input[list]');
  const field = form?.querySelector('select');
  const list = form?.querySelector('datalist');
  if (!form || !value || !field || !list) return;
  let pause = 0;
  let running: AbortController | undefined;

  const ask = async () => {
    running?.abort();
    running = new AbortController();
    const url = new URL(form.dataset.suggest ?? '', location.href);
    url.searchParams.set('of', field.value);
    url.searchParams.set('q', value.value);
    try {
      const answer = await fetch(url, { signal: running.signal, headers: { accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      list.replaceChildren(...page.querySelectorAll('#seen option'));
    } catch {
      // It can be typed without.
    }
  };
  const soon = () => {
    clearTimeout(pause);
    pause = setTimeout(() => void ask(), PAUSE_MS);
  };
  value.addEventListener('input', soon);
  value.addEventListener('focus', soon);
  field.addEventListener('change', () => {
    list.replaceChildren();
    soon();
  });
};
