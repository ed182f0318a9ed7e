/** `iso6346-check-digit:MSKU1234560` and `totals:gross-mass PATH 1000 is not …`: the rule, and what it is about. */
export function flagParts(flag: string): { rule: string; about: string } {
  const [, rule = flag, about = ''] = /^([a-z0-9-]+)(?:[: ](.*))?$/s.exec(flag) ?? [];
  return { rule, about };
}
