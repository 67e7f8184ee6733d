/** Keys: those of the whole console, and those of the screen that is shown. */
import { preferences } from "./preferences.ts";

/** A key, what it does, and its words in the help. */
export interface KeyBinding {
  /** As `KeyboardEvent.key`, or two for a sequence: `g l`. `Mod+k` is Ctrl or ⌘. */
  key: string;
  what: string;
  run(event: KeyboardEvent): void;
  /** Whether it also works in text fields. */
  inFields?: boolean;
}

let ofScreen: readonly KeyBinding[] = [];
let ofConsole: readonly KeyBinding[] = [];
let prefix = "";

/** A second key of a sequence counts for this long. */
const SEQUENCE_MS = 1_500;
let prefixMs = 0;

/** The keys of the screen that is shown; gives a function that removes them. */
export function bindKeys(bindings: readonly KeyBinding[]): () => void {
  ofScreen = bindings;
  return () => {
    if (ofScreen === bindings) ofScreen = [];
  };
}

/** All keys that work now, for the help. */
export const boundKeys = () => ({ ofScreen, ofConsole });

/** Listens to keys. */
export function followKeys(bindings: readonly KeyBinding[]): void {
  ofConsole = bindings;
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    const isSequence = prefix !== "" && event.timeStamp - prefixMs < SEQUENCE_MS;
    const wanted = isSequence ? `${prefix} ${name}` : name;
    prefix = "";
    const isField = isTextField(event.target);
    const isDialog = document.querySelector("dialog[open]") !== null;
    const all = [...ofScreen, ...ofConsole].filter(({ inFields }) => inFields || !isField && !isDialog);
    const isPlain = name.length === 1 || name === "Space";
    if (isPlain && preferences.keys.value === "off") return;
    if (name === "Space" && isPressable(event.target)) return;
    const found = all.find(({ key }) => key === wanted);
    if (found !== undefined) {
      event.preventDefault();
      return found.run(event);
    }
    if (all.some(({ key }) => key.startsWith(`${name} `))) {
      prefix = name;
      prefixMs = event.timeStamp;
    }
  });
}

function nameOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): string {
  const name = key === " " ? "Space" : key;
  if (ctrlKey || metaKey) return `Mod+${name.toLowerCase()}`;
  if (altKey) return `Alt+${name}`;
  // A letter tells its own shift.
  return shiftKey && name.length > 1 ? `Shift+${name}` : name;
}

/** Whether a key that is typed goes into a text. */
export function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    return !["checkbox", "radio", "button", "range"].includes(target.type);
  }
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement ||
    target.isContentEditable;
}

function isPressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, summary, input, a[role=button]") !== null;
}
