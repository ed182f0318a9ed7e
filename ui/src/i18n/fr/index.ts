import type { MessageKey } from '../en';
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

/** Le catalogue français, un fichier par sujet. */
export const fr: Record<MessageKey, string> = {
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
};
