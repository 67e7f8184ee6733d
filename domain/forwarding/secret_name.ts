/** Which settings and headers are secret: those whose names say so. */

const SECRET_NAME = /auth|cookie|key|token|secret|password/i;

/** Whether a setting or a header of this name is a secret, whose value is never shown. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}
