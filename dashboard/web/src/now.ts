// Keeps the number of present visitors fresh while somebody looks.
const PAUSE_MS = 30_000;

export const now = () => {
  const look = async () => {
    const badge = document.querySelector<HTMLElement>('[data-now]');
    if (!badge) return;
    if (!document.hidden) {
      try {
        const answer = await fetch(badge.dataset.now ?? '', { headers: { accept: 'application/json' } });
        const { visitors } = (await answer.json()) as { visitors: number };
        const figure = badge.querySelector('b');
        if (figure) figure.textContent = String(visitors);
        badge.classList.toggle('some', visitors > 0);
      } catch {
        // The next look will tell.
      }
    }
    setTimeout(() => void look(), PAUSE_MS);
  };
  setTimeout(() => void look(), PAUSE_MS);
};
