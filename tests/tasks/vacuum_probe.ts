/** Loaded before `tasks/vacuum.ts` by its test: says what the process may do whenever SQLite is given something to do. */
import { DatabaseSync } from "node:sqlite";

const NAMES = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;
const { exec } = DatabaseSync.prototype;

DatabaseSync.prototype.exec = function (sql: string) {
  const granted = NAMES.filter((name) => Deno.permissions.querySync({ name }).state === "granted");
  console.log(`${sql} with ${granted.length === 0 ? "nothing" : granted.join(" ")}`);
  return exec.call(this, sql);
};
