// A cursor on the graph, by pointer or by arrow keys. It reads the table beside the graph, which holds every value.
export const chart = (root: ParentNode) => {
  const figure = root.querySelector<HTMLElement>('.graph');
  const plot = figure?.querySelector<HTMLElement>('.plot');
  const tip = figure?.querySelector<HTMLElement>('.tip');
  const live = figure?.querySelector<HTMLElement>('.live');
  const rows = [...(figure?.querySelectorAll<HTMLTableRowElement>('tbody tr') ?? [])];
  if (!figure || !plot || !tip || !live || !rows.length) return;

  const xs = rows.map((row) => Number(row.dataset.x));
  let index = -1;

  const hide = () => {
    index = -1;
    figure.classList.remove('reading');
  };
  const show = (to: number, speak: boolean) => {
    index = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[index]!;
    const [label, value, before] = [...row.cells].map((c) => c.textContent?.trim() ?? '');
    const [when, now, then] = tip.querySelectorAll('span, b');
    if (when) when.textContent = label ?? '';
    if (now) now.textContent = value ?? '';
    if (then) then.textContent = before ? `${before} before` : '';
    const x = xs[index]!;
    figure.style.setProperty('--x', `${x}%`);
    figure.style.setProperty('--y', `${row.dataset.y}%`);
    tip.classList.toggle('left', x > 60);
    figure.classList.add('reading');
    if (speak) live.textContent = `${label}: ${value}${before ? `, before ${before}` : ''}`;
  };

  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * 100;
    let best = 0;
    xs.forEach((x, i) => {
      if (Math.abs(x - at) < Math.abs(xs[best]! - at)) best = i;
    });
    show(best, false);
  });
  plot.addEventListener('pointerleave', hide);
  plot.addEventListener('blur', hide);
  plot.addEventListener('keydown', (event) => {
    const last = rows.length - 1;
    const to = {
      ArrowLeft: index < 0 ? last : index - 1,
      ArrowRight: index + 1,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === 'Escape') hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to, true);
  });
};
