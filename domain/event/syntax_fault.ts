/** What is wrong with a text that should be JSON, in words of our own. */

/** What V8 says where it knows the position. Where it quotes the text instead, its message ends in other words. */
const POSITION = / in JSON at position (\d+) \(line (\d+) column (\d+)\)$/;

/** Words an error that `JSON.parse` threw. The engine's message quotes the text, which may hold a key or a name. */
export function syntaxFault(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  const [, position, line, column] = POSITION.exec(message) ?? [];
  if (position !== undefined) return `invalid at position ${position} (line ${line}, column ${column})`;
  return message === "Unexpected end of JSON input" ? "it ends unexpectedly" : "it contains an invalid token";
}
