// The words of the banner. The same tone and the same promise in every language; none of them nudges.

export interface Texts {
  title: string
  text: string
  accept: string
  reject: string
  choose: string
  save: string
  policy: string
  reopen: string
  receipt: string
  gpc: string
  /** Link to what is held about this browser. */
  data: string
  withdrawn: string
  erase: string
  erased: string
  failed: string
  close: string
  /** Name and description of essential, preference, analytics and marketing. */
  categories: [string, string][]
}

const of = (
  title: string, text: string, accept: string, reject: string, choose: string, save: string, policy: string,
  reopen: string, receipt: string, gpc: string,
  [data, withdrawn, erase, erased, failed, close]: string[], ...categories: [string, string][]
): Texts => ({ title, text, accept, reject, choose, save, policy, reopen, receipt, gpc, data, withdrawn, erase, erased, failed, close, categories })

export const texts: Record<string, Texts> = {
  en: of(
    'Your privacy', 'May we use more than what this website needs to work? You can change your choice at any time.',
    'Accept all', 'Reject all', 'Choose by category', 'Save choice', 'Privacy policy', 'Privacy settings', 'Receipt',
    'Off, as your browser asks for (Global Privacy Control).',
    ['Your data', 'Withdrawn. This browser has forgotten its number. Shall we also erase what was stored under it?', 'Erase', 'Erased.', 'That did not work. You can do it on the page “Your data”.', 'Close'],
    ['Essential', 'Needed for the website to work. Always on.'],
    ['Preference', 'Remembers your settings.'],
    ['Analytics', 'Shows us how the website is used.'],
    ['Marketing', 'Measures and shapes advertising.'],
  ),
  de: of(
    'Ihre Privatsphäre', 'Dürfen wir mehr nutzen, als diese Website zum Funktionieren braucht? Sie können Ihre Wahl jederzeit ändern.',
    'Alle annehmen', 'Alle ablehnen', 'Nach Kategorie wählen', 'Auswahl speichern', 'Datenschutzerklärung', 'Datenschutz-Einstellungen', 'Beleg',
    'Aus, wie Ihr Browser es verlangt (Global Privacy Control).',
    ['Ihre Daten', 'Widerrufen. Dieser Browser hat seine Zahl vergessen. Sollen wir auch löschen, was darunter gespeichert wurde?', 'Löschen', 'Gelöscht.', 'Das hat nicht geklappt. Auf der Seite „Ihre Daten“ geht es auch.', 'Schließen'],
    ['Notwendig', 'Damit die Website funktioniert. Immer aktiv.'],
    ['Präferenzen', 'Merkt sich Ihre Einstellungen.'],
    ['Statistik', 'Zeigt uns, wie die Website genutzt wird.'],
    ['Marketing', 'Misst und gestaltet Werbung.'],
  ),
  fr: of(
    'Votre vie privée', 'Pouvons-nous utiliser plus que le nécessaire au fonctionnement de ce site ? Vous pouvez changer d’avis à tout moment.',
    'Tout accepter', 'Tout refuser', 'Choisir par catégorie', 'Enregistrer', 'Politique de confidentialité', 'Paramètres de confidentialité', 'Reçu',
    'Désactivé, à la demande de votre navigateur (Global Privacy Control).',
    ['Vos données', 'Consentement retiré. Ce navigateur a oublié son numéro. Faut-il aussi effacer ce qui a été enregistré sous ce numéro ?', 'Effacer', 'Effacé.', 'Cela n’a pas fonctionné. Vous pouvez le faire sur la page « Vos données ».', 'Fermer'],
    ['Essentiels', 'Nécessaires au fonctionnement du site. Toujours actifs.'],
    ['Préférences', 'Mémorisent vos réglages.'],
    ['Statistiques', 'Nous montrent comment le site est utilisé.'],
    ['Marketing', 'Mesure et adapte la publicité.'],
  ),
  es: of(
    'Su privacidad', '¿Podemos usar más de lo necesario para que este sitio funcione? Puede cambiar su elección en cualquier momento.',
    'Aceptar todo', 'Rechazar todo', 'Elegir por categoría', 'Guardar elección', 'Política de privacidad', 'Ajustes de privacidad', 'Recibo',
    'Desactivado, como pide su navegador (Global Privacy Control).',
    ['Sus datos', 'Consentimiento retirado. Este navegador ha olvidado su número. ¿Borramos también lo que se guardó con él?', 'Borrar', 'Borrado.', 'No ha funcionado. Puede hacerlo en la página «Sus datos».', 'Cerrar'],
    ['Esenciales', 'Necesarias para que el sitio funcione. Siempre activas.'],
    ['Preferencias', 'Recuerdan sus ajustes.'],
    ['Estadística', 'Nos muestra cómo se usa el sitio.'],
    ['Marketing', 'Mide y adapta la publicidad.'],
  ),
  it: of(
    'La tua privacy', 'Possiamo usare più di quanto serve al funzionamento di questo sito? Puoi cambiare la tua scelta in qualsiasi momento.',
    'Accetta tutto', 'Rifiuta tutto', 'Scegli per categoria', 'Salva la scelta', 'Informativa sulla privacy', 'Impostazioni privacy', 'Ricevuta',
    'Disattivato, come chiede il tuo browser (Global Privacy Control).',
    ['I tuoi dati', 'Consenso revocato. Questo browser ha dimenticato il suo numero. Cancelliamo anche ciò che è stato salvato con esso?', 'Cancella', 'Cancellato.', 'Non ha funzionato. Puoi farlo nella pagina «I tuoi dati».', 'Chiudi'],
    ['Essenziali', 'Necessari al funzionamento del sito. Sempre attivi.'],
    ['Preferenze', 'Ricordano le tue impostazioni.'],
    ['Statistica', 'Ci mostra come viene usato il sito.'],
    ['Marketing', 'Misura e adatta la pubblicità.'],
  ),
  pt: of(
    'A sua privacidade', 'Podemos usar mais do que o necessário para este site funcionar? Pode mudar a sua escolha a qualquer momento.',
    'Aceitar tudo', 'Rejeitar tudo', 'Escolher por categoria', 'Guardar escolha', 'Política de privacidade', 'Definições de privacidade', 'Recibo',
    'Desligado, como pede o seu navegador (Global Privacy Control).',
    ['Os seus dados', 'Consentimento retirado. Este navegador esqueceu o seu número. Apagamos também o que foi guardado com ele?', 'Apagar', 'Apagado.', 'Não funcionou. Pode fazê-lo na página «Os seus dados».', 'Fechar'],
    ['Essenciais', 'Necessários para o site funcionar. Sempre ativos.'],
    ['Preferências', 'Guardam as suas definições.'],
    ['Estatística', 'Mostra-nos como o site é usado.'],
    ['Marketing', 'Mede e adapta a publicidade.'],
  ),
  nl: of(
    'Uw privacy', 'Mogen wij meer gebruiken dan deze website nodig heeft om te werken? U kunt uw keuze altijd wijzigen.',
    'Alles accepteren', 'Alles weigeren', 'Kiezen per categorie', 'Keuze opslaan', 'Privacybeleid', 'Privacy-instellingen', 'Bewijs',
    'Uit, zoals uw browser vraagt (Global Privacy Control).',
    ['Uw gegevens', 'Ingetrokken. Deze browser is zijn nummer vergeten. Zullen we ook wissen wat eronder is opgeslagen?', 'Wissen', 'Gewist.', 'Dat is niet gelukt. Het kan ook op de pagina “Uw gegevens”.', 'Sluiten'],
    ['Essentieel', 'Nodig om de website te laten werken. Altijd aan.'],
    ['Voorkeuren', 'Onthoudt uw instellingen.'],
    ['Statistiek', 'Laat ons zien hoe de website wordt gebruikt.'],
    ['Marketing', 'Meet en stuurt reclame.'],
  ),
}
