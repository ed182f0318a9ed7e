import { access } from './access';
import { alerts } from './alerts';
import { codes } from './codes';
import { customs } from './customs';
import { desk } from './desk';
import { devices } from './devices';
import { documents } from './documents';
import { fields } from './fields';
import { gateway } from './gateway';
import { ledgers } from './ledgers';
import { map } from './map';
import { movements } from './movements';
import { observation } from './observation';
import { visitors } from './visitors';

/**
 * The English catalogue, one file a topic, and the list of all keys: every other language must have each
 * of them. {name} is filled in; {n|one|other} chooses by the number n.
 */
export const en = {
  ...desk,
  ...map,
  ...alerts,
  ...movements,
  ...devices,
  ...observation,
  ...gateway,
  ...customs,
  ...documents,
  ...fields,
  ...ledgers,
  ...codes,
  ...visitors,
  ...access,
} as const;

export type MessageKey = keyof typeof en;
