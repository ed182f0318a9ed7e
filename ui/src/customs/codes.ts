/** What a code on a paper is for, in the order of the desks that scan it. */
export const PURPOSES = ['transit', 'manifest', 'declaration', 'payment', 'container-pass', 'release', 'exit'] as const;
