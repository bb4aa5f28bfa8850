// Waits for the first visit. Without script the page reloads itself.
const PAUSE_MS = 2000;

export const install = () => {
  const waiting = document.querySelector<HTMLElement>('[data-wait]');
  if (!waiting) return;
  const look = async () => {
    try {
      const answer = await fetch(waiting.dataset.wait ?? '', { headers: { accept: 'application/json' } });
      const { first } = (await answer.json()) as { first: { page: string; time: string } | null };
      if (first) {
        const [page, time] = waiting.querySelectorAll('[data-page], [data-time]');
        if (page) page.textContent = first.page;
        if (time) time.textContent = first.time;
        waiting.dataset.state = 'seen';
        document.title = `✓ ${document.title}`;
        return;
      }
    } catch {
      // The server restarts or the network is gone: the next look will tell.
    }
    setTimeout(() => void look(), document.hidden ? PAUSE_MS * 5 : PAUSE_MS);
  };
  if (waiting.dataset.state !== 'seen') void look();
};
