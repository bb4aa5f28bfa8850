// Osano's open-source cookieconsent 3. It tells only its own callbacks: its cookie is read. It has no
// categories; in opt-in mode a banner that was merely dismissed is no consent.
import { adapter } from './adapter'

adapter('osano', {
  silent: true,
  read() {
    const status = /(?:^|; )cookieconsent_status=(\w+)/.exec(document.cookie)
    return status ? (status[1] == 'allow' ? 15 : 1) : undefined
  },
})
