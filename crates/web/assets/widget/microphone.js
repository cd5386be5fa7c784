// The microphone: asked for only here, and each way it can fail told apart by a code of the words table.

import { Trouble } from './trouble.js';

/**
 * What is known about the page when the browser says no.
 * @typedef {object} Surroundings
 * @property {boolean} secure      the page is a secure context
 * @property {boolean} devices     `navigator.mediaDevices` exists
 * @property {boolean | undefined} allowed  the permissions policy lets this document ask (undefined: browser does not tell)
 * @property {boolean} framed      the page is inside another one
 * @property {'granted' | 'denied' | 'prompt' | ''} permission  as the Permissions API tells it, '' when it does not
 * @property {number} after_ms     how long the question took; a person needs longer than a rule
 */

/** A refusal faster than this was not made by a person. */
const TOO_FAST_FOR_A_PERSON_MS = 80;

/**
 * Turns the browser's error into one of our codes.
 * Names: https://www.w3.org/TR/mediacapture-streams/#dom-mediadevices-getusermedia
 * @param {{ name?: string, message?: string }} error
 * @param {Surroundings} around
 * @returns {string}
 */
export function diagnose(error, around) {
  if (!around.secure) return 'mic-insecure';
  if (!around.devices) return 'unsupported';
  switch (error.name) {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return refusal(error.message ?? '', around);
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return 'mic-missing';
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'mic-busy';
    default:
      return 'bug';
  }
}

/**
 * @param {string} message
 * @param {Surroundings} around
 */
function refusal(message, around) {
  if (around.allowed === false) return 'mic-policy';
  // Safari and Firefox do not tell the policy: a frame refused at once, though nobody blocked it, is a policy.
  const unheard = around.permission !== 'denied' && around.after_ms < TOO_FAST_FOR_A_PERSON_MS;
  if (around.allowed === undefined && around.framed && unheard) return 'mic-policy';
  if (/system/i.test(message)) return 'mic-system';
  if (/dismiss/i.test(message) || around.permission === 'prompt') return 'mic-dismissed';
  return 'mic-denied';
}

/**
 * Asks for the microphone.
 * @param {MediaTrackConstraints} constraints
 * @returns {Promise<MediaStream>} rejects with a `Trouble`
 */
export async function openMicrophone(constraints) {
  const asked_ms = performance.now();
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: constraints, video: false });
  } catch (error) {
    throw new Trouble(diagnose(/** @type {Error} */ (error), await surroundings(performance.now() - asked_ms)));
  }
}

/**
 * @param {number} after_ms
 * @returns {Promise<Surroundings>}
 */
async function surroundings(after_ms) {
  const page = /** @type {any} */ (document);
  const policy = page.permissionsPolicy ?? page.featurePolicy;
  let permission = /** @type {Surroundings['permission']} */ ('');
  try {
    permission = (await navigator.permissions.query({ name: /** @type {any} */ ('microphone') })).state;
  } catch {
    // Not every browser knows this permission by name; the error's own words must do.
  }
  return {
    secure: window.isSecureContext,
    devices: navigator.mediaDevices !== undefined,
    allowed: policy?.allowsFeature?.('microphone'),
    framed: window.top !== window,
    permission,
    after_ms,
  };
}

/** @type {MediaTrackConstraints} what a telephone conversation wants */
export const SPEECH = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** @type {MediaTrackConstraints} the sound as it is, for measuring */
export const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
