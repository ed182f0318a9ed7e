import type { ObjectState } from '../api/types';
import type { Theme } from '../state/session.svelte';

export interface MapPalette {
  sea: string;
  land: string;
  coast: string;
  border: string;
  graticule: string;
  label: string;
  labelFaint: string;
  halo: string;
  corridor: string;
  corridorFill: string;
  corridorChosen: string;
  track: string;
  accent: string;
  zone: Record<string, string>;
  state: Record<ObjectState, string>;
}

/** The map's colours: the same signal colours as the page, on a ground that stays in the back. */
export const PALETTE: Record<Theme, MapPalette> = {
  dark: {
    sea: '#0a1119',
    land: '#15202b',
    coast: '#35495b',
    border: '#3a4b5b',
    graticule: '#1a2733',
    label: '#b9c7d3',
    labelFaint: '#70859a',
    halo: '#0c141c',
    corridor: '#6f90ab',
    corridorFill: '#1e2e3c',
    corridorChosen: '#2a3a45',
    track: '#dcb76c',
    accent: '#f3d493',
    zone: {
      departure: '#6fb3a3',
      destination: '#7ea7d9',
      'approved-stop': '#8fb87a',
      restricted: '#e0606c',
      'unlock-permitted': '#cfae6a',
      'dead-zone': '#8f86b5',
      office: '#a9b9c7',
      tracking: '#7d93a8',
      activation: '#5fc2d6',
      confirmation: '#b7a0e0',
    },
    state: {
      normal: '#4fb8a0',
      info: '#86b1e8',
      warn: '#e8c04b',
      high: '#f2934a',
      critical: '#ff5564',
      silent: '#b59be8',
      ended: '#728494',
    },
  },
  light: {
    sea: '#d8e2e9',
    land: '#f5f4f0',
    coast: '#a3b4c0',
    border: '#b3b6b4',
    graticule: '#c9d4db',
    label: '#2c3b48',
    labelFaint: '#6b7a86',
    halo: '#f8f8f5',
    corridor: '#4d6d87',
    corridorFill: '#dfe6e9',
    corridorChosen: '#e9dfc6',
    track: '#7d5a12',
    accent: '#14202b',
    zone: {
      departure: '#0f7a68',
      destination: '#2a5db0',
      'approved-stop': '#4c7a2c',
      restricted: '#b80f2c',
      'unlock-permitted': '#8a6410',
      'dead-zone': '#66589c',
      office: '#4b5a67',
      tracking: '#5c6f82',
      activation: '#0d6f86',
      confirmation: '#6a4bb0',
    },
    state: {
      normal: '#0b806c',
      info: '#2a5db0',
      warn: '#b98500',
      high: '#cc5200',
      critical: '#c8102e',
      silent: '#6540ad',
      ended: '#74828e',
    },
  },
};
