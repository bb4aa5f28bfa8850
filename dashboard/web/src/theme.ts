// Light, dark, or as the system has it. Kept in a cookie that says nothing else, so that the server renders it.
export const theme = () => {
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-theme-toggle]')) {
    button.hidden = false;
    button.addEventListener('click', () => {
      const root = document.documentElement;
      const dark =
        root.dataset.theme === 'dark' ||
        (root.dataset.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
      root.dataset.theme = dark ? 'light' : 'dark';
      document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
    });
  }
};
