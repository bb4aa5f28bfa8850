// The site switcher goes at once; without script its form has a button.
export const switcher = (root: ParentNode) => {
  for (const select of root.querySelectorAll<HTMLSelectElement>('select[data-go]')) {
    select.form?.querySelector('button')?.setAttribute('hidden', '');
    select.addEventListener('change', () => select.form?.submit());
  }
};
