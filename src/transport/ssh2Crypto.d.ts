/** The part of ssh2 that tells whether its compiled ciphers are there; it has no types of its own. */
declare module 'ssh2/lib/protocol/crypto.js' {
  export const bindingAvailable: boolean;
}
