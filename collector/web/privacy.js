// The link "Your data" of a website brings the browser's number and its receipt behind the "#", which no server and no
// log sees. Here they go into the form, away from the address, and the page is asked again with them.
const brought = new URLSearchParams(location.hash.slice(1))
const form = document.getElementById('numbers')
if (form && (brought.get('y') || brought.get('r'))) {
  form.elements.y.value = brought.get('y') || ''
  form.elements.r.value = brought.get('r') || ''
  history.replaceState(null, '', location.pathname + location.search)
  if (form.checkValidity()) form.submit()
}
