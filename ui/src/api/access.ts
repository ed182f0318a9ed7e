import { request } from './client';
import type { Page } from './types';

export const ROLES = [
  'operator',
  'supervisor',
  'sealing-officer',
  'gate-officer',
  'analyst',
  'risk-manager',
  'response-unit',
  'integrator',
  'trader',
  'partner-authority',
  'auditor',
  'data-protection-officer',
  'owner',
] as const;

/** How to sign in here. */
export interface Ways {
  sign_in: boolean;
  signed_in: boolean;
  password: boolean;
  provider: boolean;
}

export interface Me {
  id: string;
  kind: string;
  full_name: string;
  roles: string[];
  offices: string[];
  second_factor: boolean;
  provider: string | null;
  has_totp: boolean;
  recovery_codes: number;
  needs_second_factor: boolean;
}

export interface SignedIn {
  signed_in: boolean;
  needs: 'code' | null;
  name: string;
}

export interface Totp {
  secret: string;
  uri: string;
  qr_svg: string;
}

export interface OwnSession {
  id: string;
  this: boolean;
  opened_at: string;
  seen_at: string;
  ends_at: string;
  address: string;
  agent: string;
}

export interface Token {
  id: string;
  account: string;
  roles: string[];
  scopes: string[];
  expires_at: string;
  used_at: string | null;
  good: boolean;
}

export interface Account {
  name: string;
  full_name: string;
  roles: string[];
  offices: string[];
  holder: string | null;
  authority: string | null;
  disabled: boolean;
  provider: string | null;
  has_password: boolean;
  has_totp: boolean;
  seen_at: string | null;
}

export interface NewAccount {
  name: string;
  full_name: string;
  roles: string[];
  offices: string[];
  holder: string | null;
  authority: string | null;
}

const part = encodeURIComponent;
const post = <T>(path: string, body: unknown): Promise<T> => request<T>(path, { method: 'POST', body });
const put = <T>(path: string, body: unknown): Promise<T> => request<T>(path, { method: 'PUT', body });
const drop = (path: string): Promise<void> => request<void>(path, { method: 'DELETE' });

export const access = {
  ways: () => request<Ways>('/sign-in'),
  me: () => request<Me>('/me'),
  signIn: (name: string, password: string) => post<SignedIn>('/sign-in', { name, password }),
  code: (code: string) => post<SignedIn>('/sign-in/totp', { code }),
  signOut: (everywhere: boolean) => post<void>('/sign-out', { everywhere }),
  ownerLink: (token: string, name: string, password: string) =>
    post<SignedIn>('/owner-link', { token, name, password }),
  lookAtLink: (token: string) => post<{ name: string; full_name: string }>('/account-link/look', { token }),
  accountLink: (token: string, password: string) => post<SignedIn>('/account-link', { token, password }),
  provider: (onward: string) => `/api/v1/oidc/start?onward=${part(onward)}`,
  changePassword: (old: string, wanted: string) => put<SignedIn>('/me/password', { old, new: wanted }),
  beginTotp: (password: string) => post<Totp>('/me/totp', { password }),
  confirmTotp: (code: string) => put<{ codes: string[] }>('/me/totp', { code }),
  dropTotp: (password: string) => post<void>('/me/totp/off', { password }),
  sessions: () => request<Page<OwnSession>>('/sessions'),
  endSession: (id: string) => drop(`/sessions/${part(id)}`),
  tokens: () => request<Page<Token>>('/tokens'),
  makeToken: (id: string, expires_at: string, scopes: string[]) =>
    post<Token & { token: string }>('/tokens', { id, expires_at, scopes }),
  revokeToken: (id: string) => drop(`/tokens/${part(id)}`),
  accounts: () => request<Page<Account>>('/accounts'),
  makeAccount: (wanted: NewAccount) => post<Account & { link: string }>('/accounts', wanted),
  changeAccount: (name: string, change: Partial<NewAccount> & { disabled?: boolean }) =>
    request<Account>(`/accounts/${part(name)}`, { method: 'PATCH', body: change }),
  resetAccount: (name: string, secondFactor: boolean) => post<Account & { link: string }>(`/accounts/${part(name)}/reset`, { second_factor: secondFactor }),
};
