// A provider of another house (panva's oidc-provider, certified by the OpenID Foundation) with people and groups of a test.
// node provider.mjs '{"callback":"…","secret":"…","alg":"RS256","people":{"amina":{"groups":["gate"]}}}' prints its issuer.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { callback, secret, alg, people } = JSON.parse(process.argv[2]);
const jwk = (kind, options, use) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use, alg: use });
const keys = [
  { ...jwk('rsa', { modulusLength: 2048 }), use: 'sig', alg: 'RS256' },
  { ...jwk('ec', { namedCurve: 'P-256' }), use: 'sig', alg: 'ES256' },
];

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'cocket',
        client_secret: secret,
        redirect_uris: [callback],
        id_token_signed_response_alg: alg,
      },
    ],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups', 'offices'] },
    cookies: { keys: ['of a test'] },
    jwks: { keys },
    pkce: { required: () => true },
    findAccount: (_, sub) => (people[sub] ? { accountId: sub, claims: () => ({ sub, ...people[sub] }) } : undefined),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
