// Chooses the browser's time zone where nobody has chosen one.
export const timeZone = () => {
  const select = document.querySelector<HTMLSelectElement>('select[data-time-zone]');
  if (!select || select.value !== 'UTC') return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === zone)) select.value = zone;
};
