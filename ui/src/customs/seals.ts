/** A seal's states, in the order of its life. */
export const SEAL_STATES = [
  'stock', 'type-approved', 'assigned', 'armed', 'alarm', 'disarmed', 'returned', 'charged', 'lost', 'stolen', 'quarantined',
] as const;
export const SEAL_KINDS = ['e-seal', 'mechanical'] as const;
