/** What the gateway says of itself, in parts. */
export const OUTCOMES = ['observed', 'silent', 'rejected'] as const;

/** `tcp 127.0.0.1:5014 jt701` in its parts; an MQTT door's protocols follow from its topics. */
export function doorOf(line: string): { kind: string; place: string; protocol: string | null } {
  const [kind = '', ...rest] = line.split(' ');
  const protocol = rest.length > 1 ? (rest.pop() ?? null) : null;
  return { kind, place: rest.join(' '), protocol };
}

/** What happens every day without anything being wrong. */
const ORDINARY = [
  'connected', 'closed-device', 'closed-reset', 'closed-silent', 'closed-stopping', 'mqtt-connected', 'mqtt-subscribed', 'file-done',
];

export const isTrouble = (event: string): boolean => !ORDINARY.includes(event);
