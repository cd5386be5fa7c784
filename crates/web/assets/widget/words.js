// Every word the widget says, in English and French; the button's own few come with the loader (language.js).

import { BUTTON, speakerOf } from './language.js';

/** @typedef {import('./language.js').Language} Language */

/** @type {import('./language.js').Table} */
export const WORDS = {
  en: {
    ...BUTTON.en,
    title: 'Talk to us',
    intro: 'Speak with a person, right here on this page. No number to give, nothing to install.',
    explain: 'Your browser will ask for your microphone so that we can hear you. Nothing is heard before you agree.',
    shared: 'We are told which page you are on: “{page}”.',
    start: 'Talk now',
    again: 'Talk again',
    retry: 'Try again',
    check: 'Check again',
    cancel: 'Cancel',
    close: 'Close',
    minimise: 'Minimise',

    mode: 'How would you like to talk?',
    modeOpen: 'Open line',
    modeOpenHint: 'Your microphone stays on, as on a telephone.',
    modeHold: 'Hold to talk',
    modeHoldHint: 'You are heard only while you press the button or the space bar.',
    modeHoldHintTouch: 'You are heard only while you press the button.',

    mute: 'Mute',
    keypad: 'Keypad',
    hangUp: 'Hang up',
    key: 'Key {key}',
    typed: 'Keys pressed: {digits}',
    inCall: 'In call',
    phoneInstead: 'Or telephone {phone}',
    received: 'The other side pressed {digit}',
    holdButton: 'Hold to talk',
    holdOn: 'You are heard',
    holdHint: 'Press and hold, or hold the space bar. Press twice to keep it on.',
    holdHintTouch: 'Press and hold. Press twice to keep it on.',
    latch: 'Keep on',
    talkie: 'Hold to talk',
    hear: 'Turn the sound on',
    hearWhy: 'Your browser keeps this page silent until you say so.',
    stay: 'The call ends if you leave this page.',
    mutedNow: 'Your microphone is off.',
    liveNow: 'Your microphone is on.',
    timer: 'Time in call',

    'state.closed': 'Nobody can answer just now',
    'state.closed.more': 'Our team is not available at the moment. Please try again a little later.',
    'state.idle': 'Ready',
    'state.asking': 'May we hear you?',
    'state.asking.more': 'Your browser is asking about your microphone. Choose “Allow”.',
    'state.connecting': 'Connecting…',
    'state.connecting.more': 'Reaching our team.',
    'state.ringing': 'Ringing…',
    'state.ringing.more': 'Somebody will pick up in a moment.',
    'state.talking': 'You are through',
    'state.talking.with': 'You are talking with {agent}',
    'state.held': 'On hold',
    'state.held.more': 'Please stay on the line. You are not heard while you wait.',
    'state.reattaching': 'Reconnecting…',
    'state.reattaching.more': 'The network dropped for a moment. Stay here, we are getting you back.',
    'state.ended': 'Call ended',
    'state.ended.more': 'Thank you for talking with us.',
    'state.ended.time': 'You talked for {time}.',
    'state.failed.cut': 'The call was cut off',
    'state.failed': 'The call did not go through',
    'state.failed.more': 'Something went wrong on the way. Please try again.',

    'mic-denied': 'The microphone is blocked',
    'mic-denied.do': 'Click the icon left of the page address, set the microphone to “Allow”, then try again.',
    'mic-denied.do.safari': 'In the Safari menu, open “Settings for this website”, allow the microphone, then try again.',
    'mic-dismissed': 'The microphone was not allowed',
    'mic-dismissed.do': 'Try again, and choose “Allow” when your browser asks.',
    'mic-system': 'Your computer keeps the microphone from the browser',
    'mic-system.do': 'In the privacy settings of your computer or telephone, let this browser use the microphone, then try again.',
    'mic-missing': 'No microphone was found',
    'mic-missing.do': 'Plug in a microphone or a headset, then try again.',
    'mic-busy': 'The microphone is in use',
    'mic-busy.do': 'Another program is holding it. Close other calls and meetings, then try again.',
    'mic-insecure': 'This page cannot use a microphone',
    'mic-insecure.do': 'Browsers allow it only on secure pages. Open this page with an address that begins with https://.',
    'mic-policy': 'This frame may not use the microphone',
    'mic-policy.do': 'Open the page in its own tab. For the site owner: add allow="microphone" to the frame, or mend the Permissions-Policy header.',
    'mic-unplugged': 'Your microphone was unplugged',
    'mic-unplugged.do': 'The call goes on and you still hear us. Plug it back in and you will be heard again.',
    'mic-paused': 'Your microphone is paused',
    'mic-paused.do': 'Your device switched it off for a moment. The call goes on.',
    unsupported: 'This browser cannot make calls',
    'unsupported.do': 'Please use a current version of Chrome, Firefox, Safari or Edge.',
    'unreachable.do': 'Check your internet connection, then try again.',
    'socket-lost': 'The connection was lost',
    'socket-lost.do': 'The call had to end. Check your internet connection, then call again.',
    'media-failed': 'The sound could not get through',
    'media-failed.do': 'Your network may block calls. Try another network, or switch off your VPN.',
    'media-lost': 'The sound was lost',
    'media-lost.do': 'Your network stopped letting the call through. Check it, then call again.',
    'other-call': 'You are already in a call',
    'other-call.do': 'End the other call on this page first.',
    bug: 'Something broke on our side',
    'bug.do': 'Please reload the page and try again.',
  },
  fr: {
    ...BUTTON.fr,
    title: 'Parlez-nous',
    intro: 'Parlez avec une vraie personne, ici même. Aucun numéro à donner, rien à installer.',
    explain: 'Votre navigateur va demander votre micro pour que nous puissions vous entendre. Rien n’est écouté avant votre accord.',
    shared: 'Nous saurons sur quelle page vous êtes\u00a0: «\u00a0{page}\u00a0».',
    start: 'Parler maintenant',
    again: 'Parler à nouveau',
    retry: 'Réessayer',
    check: 'Vérifier à nouveau',
    cancel: 'Annuler',
    close: 'Fermer',
    minimise: 'Réduire',

    mode: 'Comment souhaitez-vous parler\u202f?',
    modeOpen: 'Ligne ouverte',
    modeOpenHint: 'Votre micro reste ouvert, comme au téléphone.',
    modeHold: 'Appuyer pour parler',
    modeHoldHint: 'On vous entend seulement quand vous appuyez sur le bouton ou la barre d’espace.',
    modeHoldHintTouch: 'On vous entend seulement quand vous appuyez sur le bouton.',

    mute: 'Couper le micro',
    keypad: 'Clavier',
    hangUp: 'Raccrocher',
    key: 'Touche {key}',
    typed: 'Touches composées\u00a0: {digits}',
    inCall: 'En ligne',
    phoneInstead: 'Ou téléphonez au {phone}',
    received: 'Votre interlocuteur a composé {digit}',
    holdButton: 'Appuyez pour parler',
    holdOn: 'On vous entend',
    holdHint: 'Maintenez le bouton, ou la barre d’espace. Deux appuis pour garder le micro ouvert.',
    holdHintTouch: 'Maintenez le bouton. Deux appuis pour garder le micro ouvert.',
    latch: 'Garder ouvert',
    talkie: 'Mode talkie',
    hear: 'Activer le son',
    hearWhy: 'Votre navigateur laisse cette page muette jusqu’à votre accord.',
    stay: 'L’appel se termine si vous quittez cette page.',
    mutedNow: 'Votre micro est coupé.',
    liveNow: 'Votre micro est ouvert.',
    timer: 'Durée de l’appel',

    'state.closed': 'Personne ne peut répondre pour l’instant',
    'state.closed.more': 'Notre équipe n’est pas disponible en ce moment. Merci de réessayer un peu plus tard.',
    'state.idle': 'Prêt',
    'state.asking': 'Pouvons-nous vous entendre\u202f?',
    'state.asking.more': 'Votre navigateur vous interroge au sujet du micro. Choisissez «\u00a0Autoriser\u00a0».',
    'state.connecting': 'Connexion…',
    'state.connecting.more': 'Nous joignons notre équipe.',
    'state.ringing': 'Ça sonne…',
    'state.ringing.more': 'Quelqu’un va décrocher dans un instant.',
    'state.talking': 'Vous êtes en ligne',
    'state.talking.with': 'Vous parlez avec {agent}',
    'state.held': 'En attente',
    'state.held.more': 'Restez en ligne. On ne vous entend pas pendant l’attente.',
    'state.reattaching': 'Reconnexion…',
    'state.reattaching.more': 'Le réseau a décroché un instant. Restez ici, nous revenons vers vous.',
    'state.ended': 'Appel terminé',
    'state.ended.more': 'Merci de nous avoir parlé.',
    'state.ended.time': 'Vous avez parlé {time}.',
    'state.failed.cut': 'L’appel a été coupé',
    'state.failed': 'L’appel n’a pas abouti',
    'state.failed.more': 'Un problème est survenu en chemin. Merci de réessayer.',

    'mic-denied': 'Le micro est bloqué',
    'mic-denied.do': 'Cliquez sur l’icône à gauche de l’adresse de la page, autorisez le micro, puis réessayez.',
    'mic-denied.do.safari': 'Dans le menu Safari, ouvrez «\u00a0Réglages pour ce site web\u00a0», autorisez le micro, puis réessayez.',
    'mic-dismissed': 'Le micro n’a pas été autorisé',
    'mic-dismissed.do': 'Réessayez, et choisissez «\u00a0Autoriser\u00a0» quand votre navigateur le demande.',
    'mic-system': 'Votre appareil refuse le micro au navigateur',
    'mic-system.do': 'Dans les réglages de confidentialité de votre appareil, autorisez ce navigateur à utiliser le micro, puis réessayez.',
    'mic-missing': 'Aucun micro n’a été trouvé',
    'mic-missing.do': 'Branchez un micro ou un casque, puis réessayez.',
    'mic-busy': 'Le micro est déjà utilisé',
    'mic-busy.do': 'Un autre programme l’occupe. Fermez les autres appels et réunions, puis réessayez.',
    'mic-insecure': 'Cette page ne peut pas utiliser de micro',
    'mic-insecure.do': 'Les navigateurs ne le permettent que sur une page sécurisée. Ouvrez-la avec une adresse qui commence par https://.',
    'mic-policy': 'Ce cadre n’a pas le droit d’utiliser le micro',
    'mic-policy.do': 'Ouvrez la page dans son propre onglet. Pour le responsable du site\u00a0: ajoutez allow="microphone" au cadre, ou corrigez l’en-tête Permissions-Policy.',
    'mic-unplugged': 'Votre micro a été débranché',
    'mic-unplugged.do': 'L’appel continue et vous nous entendez toujours. Rebranchez-le et l’on vous entendra de nouveau.',
    'mic-paused': 'Votre micro est suspendu',
    'mic-paused.do': 'Votre appareil l’a coupé un instant. L’appel continue.',
    unsupported: 'Ce navigateur ne sait pas appeler',
    'unsupported.do': 'Utilisez une version récente de Chrome, Firefox, Safari ou Edge.',
    'unreachable.do': 'Vérifiez votre connexion internet, puis réessayez.',
    'socket-lost': 'La connexion a été perdue',
    'socket-lost.do': 'L’appel a dû s’arrêter. Vérifiez votre connexion internet, puis rappelez.',
    'media-failed': 'Le son n’a pas pu passer',
    'media-failed.do': 'Votre réseau bloque peut-être les appels. Essayez un autre réseau, ou coupez votre VPN.',
    'media-lost': 'Le son a été perdu',
    'media-lost.do': 'Votre réseau ne laisse plus passer l’appel. Vérifiez-le, puis rappelez.',
    'other-call': 'Vous êtes déjà en ligne',
    'other-call.do': 'Terminez d’abord l’autre appel de cette page.',
    bug: 'Un problème est survenu chez nous',
    'bug.do': 'Rechargez la page, puis réessayez.',
  },
};

/**
 * @param {number} seconds
 * @returns {string} `0:07`, `12:40`, `1:02:03`
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/**
 * A length of time as a person says it: `12 seconds`, `3 minutes`, `3 min 12 s`.
 * @param {number} seconds
 * @param {Language} language
 */
export function spokenTime(seconds, language) {
  const whole = Math.max(0, Math.round(seconds));
  const unit = (/** @type {number} */ n, /** @type {string} */ name) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'long' }).format(n);
  const parts = [];
  if (whole >= 3600) parts.push(unit(Math.floor(whole / 3600), 'hour'));
  if (whole % 3600 >= 60) parts.push(unit(Math.floor((whole % 3600) / 60), 'minute'));
  if (whole < 3600 && (whole % 60 > 0 || whole === 0)) parts.push(unit(whole % 60, 'second'));
  return parts.join(' ');
}

export const speaker = speakerOf(WORDS);
