/** A setting of this device, kept in this browser; where storage is forbidden it lasts as long as the page. */
export class Remembered {
  #value = $state('');
  constructor(private readonly name: string) {
    try {
      this.#value = localStorage.getItem(`cocket.${name}`) ?? '';
    } catch {
      // Storage is forbidden in this browser.
    }
  }

  get value(): string {
    return this.#value;
  }

  set value(text: string) {
    this.#value = text.trim();
    try {
      localStorage.setItem(`cocket.${this.name}`, this.#value);
    } catch {
      // As above: the choice still holds for this page.
    }
  }
}

export const remembered = (name: string): Remembered => new Remembered(name);
