/** The problem of an invalid JSON text, in our own words. */

/** V8's message if it knows the position. If it quotes the text instead, its message ends differently. */
const POSITION = / in JSON at position (\d+) \(line (\d+) column (\d+)\)$/;

/** Words an error that `JSON.parse` threw. The engine's message quotes the text, which may hold a key or a name. */
export function syntaxFault(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  const [, position, line, column] = POSITION.exec(message) ?? [];
  if (position !== undefined) return `invalid at position ${position} (line ${line}, column ${column})`;
  return message === "Unexpected end of JSON input" ? "it ends unexpectedly" : "it contains an invalid token";
}
