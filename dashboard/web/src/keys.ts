// Keys that choose a period or comparison: links with data-key. Not while somebody types, and not with Ctrl and such.
export const periodKeys = () => {
  document.addEventListener('keydown', (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if ((event.target as Element).closest('input, select, textarea, [contenteditable]')) return;
    const key = event.key.toUpperCase();
    const link = [...document.querySelectorAll<HTMLAnchorElement>('a[data-key]')].find((a) => a.dataset.key === key);
    if (!link) return;
    event.preventDefault();
    link.click();
  });
};
